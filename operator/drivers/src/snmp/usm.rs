//! The user-based security model (RFC 3414) with the protocols of RFC 7860 and RFC 3826: keys from
//! passwords, HMAC over a message, AES in CFB mode.
//!
//! Pure but for the salt, which is random. Judges one message at a time: an answer counts only if it
//! is authenticated and encrypted by the keys of the very engine that was asked. What an
//! unauthenticated message says of the engine's clock is a first guess, and the engine itself refuses
//! a wrong one. Never tells a key. Called by `exchange`.

use aes::cipher::{Array, BlockCipherEncrypt, BlockSizeUser, KeyInit as _, consts::U16};
use aes::{Aes128, Aes192, Aes256};
use hmac::{Hmac, Mac as _};
use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::digest::Digest;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::ber::Malformed;
use super::message::{Flags, GET, Parameters, Pdu, REPORT, Secured};
use crate::credentials::{SnmpAuthentication, SnmpPrivacy, SnmpUser};

/// Octets into which a password is repeated (RFC 3414 section A.2).
const PASSWORD_OCTETS: usize = 1 << 20;
/// Octets of a block of AES.
const BLOCK: usize = 16;
/// The greatest difference of two clocks, in seconds (RFC 3414 section 2.2.3).
const WINDOW: u32 = 150;

impl SnmpAuthentication {
    /// Returns the number of octets of an HMAC that are sent (RFC 7860 section 4).
    fn sent_octets(self) -> usize {
        match self {
            Self::Sha224 => 16,
            Self::Sha256 => 24,
            Self::Sha384 => 32,
            Self::Sha512 => 48,
        }
    }

    fn hash(self, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        fn of<D: Digest>(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
            let mut digest = D::new();
            for part in parts {
                digest.update(part);
            }
            Zeroizing::new(digest.finalize().to_vec())
        }
        match self {
            Self::Sha224 => of::<Sha224>(parts),
            Self::Sha256 => of::<Sha256>(parts),
            Self::Sha384 => of::<Sha384>(parts),
            Self::Sha512 => of::<Sha512>(parts),
        }
    }

    /// Returns the HMAC over a message, as it is sent.
    fn sign(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        macro_rules! hmac {
            ($hash:ty) => {{
                let mut code = Hmac::<$hash>::new_from_slice(key).expect("a key of any length");
                code.update(message);
                code.finalize().into_bytes().to_vec()
            }};
        }
        let mut whole = match self {
            Self::Sha224 => hmac!(Sha224),
            Self::Sha256 => hmac!(Sha256),
            Self::Sha384 => hmac!(Sha384),
            Self::Sha512 => hmac!(Sha512),
        };
        whole.truncate(self.sent_octets());
        whole
    }

    /// Returns the key of a password for one engine (RFC 3414 section 2.6).
    fn key(self, password: &str, engine: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut repeated = Zeroizing::new(Vec::with_capacity(PASSWORD_OCTETS + password.len()));
        while repeated.len() < PASSWORD_OCTETS && !password.is_empty() {
            repeated.extend_from_slice(password.as_bytes());
        }
        repeated.truncate(PASSWORD_OCTETS);
        let own = self.hash(&[&repeated]);
        self.hash(&[&own, engine, &own])
    }
}

impl SnmpPrivacy {
    fn key_octets(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }
}

/// Direction of a cipher.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Direction {
    Encrypt,
    Decrypt,
}

/// Runs AES in CFB mode with a feedback of 128 bits (RFC 3826 section 3.1.1.1).
fn cfb<C>(cipher: &C, iv: [u8; BLOCK], data: &mut [u8], direction: Direction)
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let mut feedback = iv;
    for chunk in data.chunks_mut(BLOCK) {
        let mut stream = Array::from(feedback);
        cipher.encrypt_block(&mut stream);
        for (at, octet) in chunk.iter_mut().enumerate() {
            let before = *octet;
            *octet ^= stream[at];
            feedback[at] = if direction == Direction::Encrypt {
                *octet
            } else {
                before
            };
        }
    }
}

/// The engine of a device, with the keys of one user for it.
#[derive(Clone)]
pub(super) struct Engine {
    id: Vec<u8>,
    authentication: Zeroizing<Vec<u8>>,
    privacy: Zeroizing<Vec<u8>>,
    boots: u32,
    time: u32,
    /// Instant at which the engine's clock had that time.
    at: Instant,
}

/// Judgement of a message that was received.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Judged {
    /// An answer that is authenticated and encrypted.
    Proved(Pdu),
    /// A Report, with the words of the engine about itself. It need not be authenticated: the engine
    /// may not know the user, and it refuses whoever believes a wrong clock.
    Report {
        /// The PDU.
        pdu: Pdu,
        /// The parameters.
        parameters: Parameters,
    },
    /// It proves nothing.
    Unproved,
}

impl Engine {
    /// Makes the keys of a user for an engine: some milliseconds of work.
    pub(super) fn of(user: &SnmpUser, told: &Parameters, now: Instant) -> Self {
        let id = &told.engine;
        let key = |password: &str| user.authentication.key(password, id);
        let mut privacy = key(&user.privacy_password);
        privacy.truncate(user.privacy.key_octets());
        Self {
            authentication: key(&user.authentication_password),
            privacy,
            id: id.clone(),
            boots: told.boots,
            time: told.time,
            at: now,
        }
    }

    /// True if it is the engine with this id.
    pub(super) fn is(&self, id: &[u8]) -> bool {
        self.id == id
    }

    /// Takes over the clock of the engine, as a message told it.
    pub(super) fn set_clock(&mut self, told: &Parameters, now: Instant) {
        (self.boots, self.time, self.at) = (told.boots, told.time, now);
    }

    /// Returns the time of the engine's clock.
    fn time(&self, now: Instant) -> u32 {
        let passed = now.saturating_duration_since(self.at).as_secs();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        self.time
            .saturating_add(passed)
            .min(i32::MAX.unsigned_abs())
    }

    /// Returns the request as a message that is authenticated and encrypted.
    pub(super) fn protect(&self, user: &SnmpUser, pdu: &Pdu, now: Instant) -> Vec<u8> {
        let mut salt = [0; 8];
        // Without random numbers the process has no TLS either.
        SystemRandom::new()
            .fill(&mut salt)
            .expect("the system has random numbers");
        let mut parameters = Parameters {
            engine: self.id.clone(),
            boots: self.boots,
            time: self.time(now),
            user: user.username.as_bytes().to_vec(),
            authentication: vec![0; user.authentication.sent_octets()],
            privacy: salt.to_vec(),
        };
        let mut data = pdu.scoped(&self.id, user.context.as_bytes());
        self.cipher(user, &parameters, &mut data, Direction::Encrypt);
        let mut message = Secured {
            id: pdu.id,
            flags: Flags {
                authenticated: true,
                encrypted: true,
                reportable: true,
            },
            parameters: parameters.clone(),
            data,
        };
        parameters.authentication = user
            .authentication
            .sign(&self.authentication, &message.write());
        message.parameters = parameters;
        message.write()
    }

    fn cipher(
        &self,
        user: &SnmpUser,
        parameters: &Parameters,
        data: &mut [u8],
        direction: Direction,
    ) {
        let mut iv = [0; BLOCK];
        iv[..4].copy_from_slice(&parameters.boots.to_be_bytes());
        iv[4..8].copy_from_slice(&parameters.time.to_be_bytes());
        let salt = &parameters.privacy[..parameters.privacy.len().min(8)];
        iv[8..8 + salt.len()].copy_from_slice(salt);
        macro_rules! run {
            ($aes:ty) => {{
                let cipher = <$aes>::new_from_slice(&self.privacy).expect("a key of that length");
                cfb(&cipher, iv, data, direction);
            }};
        }
        match user.privacy {
            SnmpPrivacy::Aes128 => run!(Aes128),
            SnmpPrivacy::Aes192 => run!(Aes192),
            SnmpPrivacy::Aes256 => run!(Aes256),
        }
    }

    /// Judges a message, and takes over the engine's clock from one that is proved.
    pub(super) fn judge(
        &mut self,
        user: &SnmpUser,
        datagram: &[u8],
        (message, place): (Secured, usize),
        now: Instant,
    ) -> Result<Judged, Malformed> {
        let parameters = &message.parameters;
        if !message.flags.authenticated {
            let pdu = Pdu::of_scoped(&message.data)?;
            return Ok(report(pdu, message.parameters));
        }
        if !self.is(&parameters.engine)
            || parameters.user != user.username.as_bytes()
            || !self.is_signed(user, datagram, parameters, place)
        {
            return Ok(Judged::Unproved);
        }
        let mut data = message.data;
        if message.flags.encrypted {
            self.cipher(user, &message.parameters, &mut data, Direction::Decrypt);
        }
        let pdu = Pdu::of_scoped(&data)?;
        // A Report about the clock has nothing to hide, and is of another time than is known
        // (RFC 3414 section 3.2).
        if pdu.tag == REPORT || !message.flags.encrypted {
            return Ok(report(pdu, message.parameters));
        }
        if !self.is_timely(&message.parameters, now) {
            return Ok(Judged::Unproved);
        }
        self.set_clock(&message.parameters, now);
        Ok(Judged::Proved(pdu))
    }

    fn is_signed(
        &self,
        user: &SnmpUser,
        datagram: &[u8],
        parameters: &Parameters,
        place: usize,
    ) -> bool {
        let sent = &parameters.authentication;
        if sent.len() != user.authentication.sent_octets() {
            return false;
        }
        let mut unsigned = datagram.to_vec();
        unsigned[place..place + sent.len()].fill(0);
        let own = user.authentication.sign(&self.authentication, &unsigned);
        // All octets are compared, wherever the first difference is.
        let differences = own.iter().zip(sent).map(|(own, sent)| own ^ sent);
        differences.fold(0, |all, difference| all | difference) == 0
    }

    /// True if a message is not older than the window allows (RFC 3414 section 3.2, step 7b).
    fn is_timely(&self, parameters: &Parameters, now: Instant) -> bool {
        parameters.boots > self.boots
            || parameters.boots == self.boots
                && parameters.time.saturating_add(WINDOW) >= self.time(now)
    }
}

/// Returns the judgement of a PDU that is not encrypted: it can be nothing but a Report.
fn report(pdu: Pdu, parameters: Parameters) -> Judged {
    if pdu.tag == REPORT {
        Judged::Report { pdu, parameters }
    } else {
        Judged::Unproved
    }
}

/// Returns the request by which an engine is asked for its id (RFC 3414 section 4).
pub(super) fn discovery(id: i32) -> Vec<u8> {
    let mut pdu = Pdu::about(GET, &[]);
    pdu.id = id;
    let message = Secured {
        id,
        flags: Flags {
            reportable: true,
            ..Flags::default()
        },
        parameters: Parameters::default(),
        data: pdu.scoped(&[], &[]),
    };
    message.write()
}

#[cfg(test)]
mod tests;
