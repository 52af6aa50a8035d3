//! A device made of the crate `hawkbit`: it asks, downloads, checks all three digests, tells that it has
//! installed, and reports the version that runs. Told to lie, it reports the version before for ever.
//!
//! Usage: entente-hawkbit-device URL TENANT DEVICE TOKEN VERSION DIRECTORY honest|liar

use std::{collections::BTreeMap, env, error::Error, path::Path};

use hawkbit::ddi::{Client, ClientAuthorization, Execution, Finished, Reply};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, tenant, device, token, version, directory, manner] = &arguments[..] else {
        return Err("URL TENANT DEVICE TOKEN VERSION DIRECTORY honest|liar".into());
    };
    let token = ClientAuthorization::TargetToken(token.clone());
    let client = Client::new(url, tenant, device, token, None, None, None)?;
    let mut version = version.clone();
    println!("calling");
    loop {
        let reply = client.poll().await?;
        report(&reply, &version).await?;
        if let Some(cancel) = reply.cancel_action() {
            println!("cancelled {}", cancel.id().await?);
            cancel
                .send_feedback(Execution::Closed, Finished::Success, vec!["cancelled"])
                .await?;
        }
        if let Some(installed) = install(&reply, Path::new(directory)).await? {
            println!("installed {installed}");
            if manner == "honest" {
                version = installed;
            }
        }
        // The time between two calls is the server's to say, in DDI.
        tokio::time::sleep(reply.polling_sleep()?).await;
    }
}

async fn report(reply: &Reply, version: &str) -> Result<(), Box<dyn Error>> {
    let Some(request) = reply.config_data_request() else {
        return Ok(());
    };
    println!("reports {version}");
    let data = BTreeMap::from([("firmware.main", version)]);
    request
        .upload(Execution::Closed, Finished::Success, None, data, vec![])
        .await?;
    Ok(())
}

/// Installs what there is to install, and returns its version.
async fn install(reply: &Reply, directory: &Path) -> Result<Option<String>, Box<dyn Error>> {
    let Some(update) = reply.update() else {
        return Ok(None);
    };
    let update = update.fetch().await?;
    update
        .send_feedback(Execution::Proceeding, Finished::None, vec!["downloading"])
        .await?;
    for artifact in update.download(directory).await? {
        artifact.check_md5().await?;
        artifact.check_sha1().await?;
        artifact.check_sha256().await?;
    }
    let version = update.chunks().next().map(|chunk| chunk.version().to_owned());
    update
        .send_feedback(Execution::Closed, Finished::Success, vec!["installed"])
        .await?;
    Ok(version)
}
