//! /proc/PID/stat (proc_pid_stat(5)).

use super::read;
use crate::error::{Error, Result};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) state: char,
    pub(crate) ppid: i32,
    /// The controlling terminal as the kernel encodes a device number, and its foreground process group; 0 and -1 for none.
    pub(crate) terminal: u32,
    pub(crate) foreground: i32,
    /// `PF_` flags of the kernel's task_struct.
    pub(crate) flags: u32,
    pub(crate) nice: i32,
    pub(crate) start_time: u64,
    pub(crate) code: (u64, u64),
    pub(crate) start_stack: u64,
    pub(crate) rt_priority: u32,
    pub(crate) policy: u32,
    pub(crate) data: (u64, u64),
    pub(crate) start_brk: u64,
    pub(crate) arg: (u64, u64),
    pub(crate) env: (u64, u64),
    /// Of a zombie, as wait(2) encodes it.
    pub(crate) exit_code: u32,
}

impl Stat {
    pub(crate) fn of(pid: i32) -> Result<Stat> {
        let path = format!("/proc/{pid}/stat");
        Stat::parse(&read(&path)?).ok_or_else(|| Error::new(format!("{path}: not as expected")))
    }

    fn parse(text: &str) -> Option<Stat> {
        // The name may have anything in it, a parenthesis too.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // Numbered as in the manual page, where the state is 3.
        let field = |number: usize| fields.get(number - 3).copied();
        let number = |number: usize| field(number)?.parse::<u64>().ok();
        let signed = |number: usize| field(number)?.parse::<i32>().ok();
        Some(Stat {
            state: field(3)?.chars().next()?,
            ppid: signed(4)?,
            terminal: signed(7)? as u32,
            foreground: signed(8)?,
            flags: number(9)? as u32,
            nice: signed(19)?,
            start_time: number(22)?,
            code: (number(26)?, number(27)?),
            start_stack: number(28)?,
            rt_priority: number(40)? as u32,
            policy: number(41)? as u32,
            data: (number(45)?, number(46)?),
            start_brk: number(47)?,
            arg: (number(48)?, number(49)?),
            env: (number(50)?, number(51)?),
            exit_code: number(52)? as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_parenthesis() {
        let text = "41 (a) S (b) T 1 41 41 0 -1 4194560 78 0 0 0 0 0 0 0 20 -5 1 0 7 1101824 1 18446744073709551615 \
            4198400 4688769 140722 140721 4324446 0 0 0 0 1 0 0 17 0 50 1 0 0 0 4851416 4874864 46170112 \
            140736 140746 140747 140750 9";
        let stat = Stat::parse(text).expect("a line of stat");
        assert_eq!((stat.state, stat.ppid, stat.flags, stat.nice), ('T', 1, 4194560, -5));
        assert_eq!((stat.rt_priority, stat.policy, stat.exit_code), (50, 1, 9));
        assert_eq!((stat.data, stat.env), ((4851416, 4874864), (140747, 140750)));
        assert_eq!(Stat::parse("41 (a) S 1"), None);
    }
}
