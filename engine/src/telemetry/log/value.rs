//! The types that can stand behind a key of a log line.

use super::Value;
use std::borrow::Cow;
use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use store::mail::address::Address;
use store::mail::id::{
    AccountId, FrameSeq, Lsn, MailboxId, ModSeq, ObjectId, ShardId, Uid, UidValidity,
};

macro_rules! integers {
    ($($type:ty)*) => {
        $(impl Value for $type {
            fn show(&self, out: &mut dyn Write) -> fmt::Result {
                out.write_str(itoa::Buffer::new().format(*self))
            }

            fn is_number(&self) -> bool {
                true
            }
        })*
    };
}

macro_rules! numbers {
    ($($type:ty)*) => {
        $(impl Value for $type {
            fn show(&self, out: &mut dyn Write) -> fmt::Result {
                write!(out, "{self}")
            }

            fn is_number(&self) -> bool {
                true
            }
        })*
    };
}

macro_rules! texts {
    ($($type:ty)*) => {
        $(impl Value for $type {
            fn show(&self, out: &mut dyn Write) -> fmt::Result {
                write!(out, "{self}")
            }
        })*
    };
}

integers! { u8 u16 u32 u64 usize i32 i64 }
numbers! { bool AccountId FrameSeq Lsn MailboxId ModSeq ObjectId ShardId Uid UidValidity }
texts! { Cow<'_, str> char fmt::Arguments<'_> SocketAddr }
texts! { std::io::Error std::io::ErrorKind }

impl Value for str {
    fn show(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_str(self)
    }
}

impl Value for String {
    fn show(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_str(self)
    }
}

/// As in SMTP, so that the null reverse-path and an address never look alike.
impl Value for Address {
    fn show(&self, out: &mut dyn Write) -> fmt::Result {
        write!(out, "<{self}>")
    }
}

/// That of a client stands in every line of a transaction.
impl Value for IpAddr {
    fn show(&self, out: &mut dyn Write) -> fmt::Result {
        let IpAddr::V4(address) = self else {
            return write!(out, "{self}");
        };
        for (octet, dot) in address.octets().into_iter().zip(["", ".", ".", "."]) {
            out.write_str(dot)?;
            out.write_str(itoa::Buffer::new().format(octet))?;
        }
        Ok(())
    }
}

/// Seconds, to the microsecond.
impl Value for Duration {
    fn show(&self, out: &mut dyn Write) -> fmt::Result {
        write!(out, "{}.{:06}", self.as_secs(), self.subsec_micros())
    }

    fn is_number(&self) -> bool {
        true
    }
}

/// `None` leaves out the key.
impl<T: Value> Value for Option<T> {
    fn show(&self, out: &mut dyn Write) -> fmt::Result {
        self.as_ref().map_or(Ok(()), |value| value.show(out))
    }

    fn is_number(&self) -> bool {
        self.as_ref().is_some_and(Value::is_number)
    }

    fn is_some(&self) -> bool {
        self.as_ref().is_some_and(Value::is_some)
    }
}

impl<T: Value + ?Sized> Value for &T {
    fn show(&self, out: &mut dyn Write) -> fmt::Result {
        (**self).show(out)
    }

    fn is_number(&self) -> bool {
        (**self).is_number()
    }

    fn is_some(&self) -> bool {
        (**self).is_some()
    }
}
