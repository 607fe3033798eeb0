//! Registers, between what ptrace(2) shows and what images have.

#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{
    MARCH, ask_for_permitted_components, asked_for, jump, permit_components, thread_info, tiles,
};
