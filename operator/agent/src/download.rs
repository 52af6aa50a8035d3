//! An artifact onto the disk: resumed where it broke off, bounded, and verified before it counts.
//!
//! A part is kept in a file named by the SHA-256 of the whole, with the tag by which the gateway knows
//! it. A range is requested with `If-Range`, so that the rest of another artifact is never added. No
//! more than the announced length is read. What has another SHA-256 is removed.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::header;
use sha2::{Digest, Sha256};
use tokio::{
    fs::{self, File, OpenOptions},
    io::{AsyncReadExt, AsyncWriteExt},
};
use url::Url;

use crate::{
    answer::{self, Failure},
    ddi::Fetch,
    http::{Http, Request, Token, broken, text},
};

/// Longest silence within a body.
const SILENCE: Duration = Duration::from_secs(30);

/// Reason for which there is no artifact.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum DownloadFault {
    /// It broke off, or the gateway cannot give it now: the rest is fetched later.
    #[error(transparent)]
    Later(#[from] Failure),
    /// It is not what was offered, or it is not there: to fetch it again would give the same.
    #[error("{detail}")]
    Never {
        /// Words about the fault.
        detail: String,
    },
    /// The disk refuses.
    #[error("the artifact cannot be kept: {detail}")]
    Disk {
        /// Words of the system.
        detail: String,
    },
}

/// Meaning of an answer for the part that the device has.
#[derive(Debug, Eq, PartialEq)]
pub enum Begin {
    /// The rest is added to what there is.
    Append,
    /// The whole comes.
    Anew,
    /// Nothing fits: the part is removed, and the whole is requested.
    Again,
}

/// Decides what an answer with a body means for a device that has the first `have` bytes of `size`.
/// `range` is its `Content-Range`.
pub fn begin(status: u16, range: Option<&str>, have: u64, size: u64) -> Begin {
    match status {
        206 if range == Some(&format!("bytes {have}-{}/{size}", size.saturating_sub(1))) => {
            Begin::Append
        }
        200 => Begin::Anew,
        _ => Begin::Again,
    }
}

fn disk(error: &std::io::Error) -> DownloadFault {
    DownloadFault::Disk {
        detail: error.to_string(),
    }
}

/// Fetches an artifact into `folder`, and returns its path when it is whole and verified.
pub async fn download(
    http: &Http,
    gateway: &Url,
    token: &str,
    fetch: &Fetch,
    folder: &Path,
) -> Result<PathBuf, DownloadFault> {
    fs::create_dir_all(folder)
        .await
        .map_err(|error| disk(&error))?;
    let name = hex::encode(fetch.sha256);
    let whole = folder.join(&name);
    if is_whole(&whole, fetch).await {
        return Ok(whole);
    }
    let part = folder.join(format!("{name}.part"));
    let mut hasher = Sha256::new();
    let mut have = hashed(&part, &mut hasher, fetch.size).await;
    if have < fetch.size || fetch.size == 0 {
        let asked = ask(http, gateway, token, fetch, have).await;
        if matches!(asked, Err(DownloadFault::Later(Failure::Refused { .. }))) {
            let _ = fs::remove_file(&part).await;
        }
        let response = asked?;
        let range = text(&response, header::CONTENT_RANGE);
        match begin(response.status().as_u16(), range, have, fetch.size) {
            Begin::Append => {}
            Begin::Anew => {
                hasher = Sha256::new();
                have = 0;
            }
            Begin::Again => {
                let _ = fs::remove_file(&part).await;
                let detail = format!("a range that was not asked for: {range:?}");
                return Err(Failure::NotUnderstood { detail }.into());
            }
        }
        receive(response, &part, &mut hasher, have, fetch.size).await?;
    }
    if hasher.finalize()[..] != fetch.sha256 {
        let _ = fs::remove_file(&part).await;
        let detail = "its SHA-256 is not the one that was announced".into();
        return Err(DownloadFault::Never { detail });
    }
    fs::rename(&part, &whole)
        .await
        .map_err(|error| disk(&error))?;
    Ok(whole)
}

/// Requests the artifact, or the rest of it.
async fn ask(
    http: &Http,
    gateway: &Url,
    token: &str,
    fetch: &Fetch,
    have: u64,
) -> Result<reqwest::Response, DownloadFault> {
    // The tag of an artifact is its SHA-256.
    let tag = format!("\"{}\"", hex::encode(fetch.sha256));
    let resumes = have > 0;
    let request = Request::get(fetch.url.as_str(), Token::Target(token))
        .with("Range", resumes.then(|| format!("bytes={have}-")))
        .with("If-Range", resumes.then_some(tag));
    let response = http.begin(gateway, request).await?;
    let head = http.head(&response);
    match answer::judged(head) {
        Ok(_) => Ok(response),
        // The part that the device has is none of the artifact: the whole is fetched later.
        Err(failure @ Failure::Refused { status: 416, .. }) => Err(failure.into()),
        // rauc/rauc-hawkbit-updater issue 158: a loop over an artifact that was not there.
        Err(Failure::Refused { status, reason, .. }) => Err(DownloadFault::Never {
            detail: format!("the gateway does not give it ({status} {reason})"),
        }),
        Err(failure) => Err(failure.into()),
    }
}

/// Writes the body behind the first `have` bytes, up to `size` in all.
async fn receive(
    mut response: reqwest::Response,
    part: &Path,
    hasher: &mut Sha256,
    mut have: u64,
    size: u64,
) -> Result<(), DownloadFault> {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    let options = if have > 0 {
        options.append(true)
    } else {
        options.write(true).truncate(true)
    };
    let mut file = options.open(part).await.map_err(|error| disk(&error))?;
    let result = loop {
        let next = tokio::time::timeout(SILENCE, response.chunk()).await;
        let Ok(next) = next else {
            let detail = "the body fell silent".into();
            break Err(Failure::Unreachable { detail });
        };
        match next {
            Ok(Some(bytes)) => {
                have += bytes.len() as u64;
                if have > size {
                    let _ = fs::remove_file(part).await;
                    let detail = format!("it has more than the {size} bytes that were announced");
                    return Err(DownloadFault::Never { detail });
                }
                file.write_all(&bytes).await.map_err(|error| disk(&error))?;
                hasher.update(&bytes);
            }
            Ok(None) if have < size => {
                let detail = format!("the body ended after {have} of {size} bytes");
                break Err(Failure::Unreachable { detail });
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(broken(&error)),
        }
    };
    // The bytes that have come are kept, whatever came after them.
    file.sync_all().await.map_err(|error| disk(&error))?;
    result.map_err(DownloadFault::Later)
}

/// Feeds a file of at most `size` bytes into a hash, and returns its length; 0 if there is none.
async fn hashed(path: &Path, hasher: &mut Sha256, size: u64) -> u64 {
    let fed = async {
        let mut file = File::open(path).await?;
        if file.metadata().await?.len() > size {
            return Err(std::io::Error::other("longer than the artifact"));
        }
        let mut buffer = vec![0; 64 * 1024];
        let mut length = 0;
        loop {
            let read = file.read(&mut buffer).await?;
            if read == 0 {
                return Ok(length);
            }
            hasher.update(&buffer[..read]);
            length += read as u64;
        }
    };
    if let Ok(length) = fed.await {
        return length;
    }
    *hasher = Sha256::new();
    0
}

async fn is_whole(path: &Path, fetch: &Fetch) -> bool {
    let mut hasher = Sha256::new();
    let length = hashed(path, &mut hasher, fetch.size).await;
    length == fetch.size && path.exists() && hasher.finalize()[..] == fetch.sha256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_range_that_was_asked_for_is_added() {
        assert_eq!(begin(206, Some("bytes 4-9/10"), 4, 10), Begin::Append);
        assert_eq!(begin(200, None, 4, 10), Begin::Anew);
        for range in [
            "bytes 0-9/10",
            "bytes 4-8/10",
            "bytes 4-9/11",
            "bytes 4-9/*",
            "",
        ] {
            assert_eq!(begin(206, Some(range), 4, 10), Begin::Again, "{range}");
        }
        assert_eq!(begin(206, None, 4, 10), Begin::Again);
        assert_eq!(begin(204, None, 4, 10), Begin::Again);
    }
}
