//! Damage is noticed, named and costs its block.

use super::*;
