//! What went wrong with a connection, in words that say what to do.

use quinn::{ConnectionError, ReadError, TransportErrorCode};

use super::reader::Lost;

/// A connection's end for people.
pub(crate) fn explain(error: &ConnectionError) -> String {
    match error {
        ConnectionError::TransportError(e) => explain_code(e.code, &e.reason),
        ConnectionError::ConnectionClosed(close) => {
            let reason = String::from_utf8_lossy(&close.reason);
            explain_code(close.error_code, &reason)
        }
        ConnectionError::ApplicationClosed(close) => {
            format!("closed by the other side: {}", String::from_utf8_lossy(&close.reason))
        }
        ConnectionError::TimedOut => "no answer: is the node up, and the address right?".to_owned(),
        ConnectionError::Reset => "the other side was restarted".to_owned(),
        ConnectionError::LocallyClosed => "closed by this side".to_owned(),
        other => other.to_string(),
    }
}

/// A stream's end for people.
pub(crate) fn explain_lost(lost: &Lost) -> String {
    match lost {
        Lost::Read(ReadError::ConnectionLost(e)) => explain(e),
        other => other.to_string(),
    }
}

/// Whether certificates were the reason.
pub(crate) fn is_certificate_trouble(error: &ConnectionError) -> bool {
    let code = match error {
        ConnectionError::TransportError(e) => e.code,
        ConnectionError::ConnectionClosed(close) => close.error_code,
        _ => return false,
    };
    tls_alert(code).is_some_and(|alert| alert != NO_APPLICATION_PROTOCOL)
}

fn explain_code(code: TransportErrorCode, reason: &str) -> String {
    let Some(alert) = tls_alert(code) else {
        return format!("{code}: {reason}");
    };
    match alert {
        CERTIFICATE_REQUIRED => {
            "a certificate is required: give one that this cluster's authority signed".to_owned()
        }
        UNKNOWN_CA | BAD_CERTIFICATE | DECRYPT_ERROR => {
            format!(
                "the certificate is not of this cluster's authority, or not of the node expected here ({reason})"
            )
        }
        CERTIFICATE_EXPIRED => format!("the certificate is out of date, or a clock is wrong ({reason})"),
        NO_APPLICATION_PROTOCOL => {
            "the other side speaks another protocol or another version of it".to_owned()
        }
        _ => format!("TLS failed: {reason}"),
    }
}

/// QUIC carries TLS alerts as 0x0100 + alert (RFC 9001, section 4.8).
fn tls_alert(code: TransportErrorCode) -> Option<u8> {
    match u64::from(code) {
        code @ 0x100..=0x1ff => Some((code & 0xff) as u8),
        _ => None,
    }
}

// RFC 8446, section 6.
const BAD_CERTIFICATE: u8 = 42;
const CERTIFICATE_EXPIRED: u8 = 45;
const UNKNOWN_CA: u8 = 48;
const DECRYPT_ERROR: u8 = 51;
const CERTIFICATE_REQUIRED: u8 = 116;
const NO_APPLICATION_PROTOCOL: u8 = 120;
