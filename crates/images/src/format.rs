//! The types of images: magics, messages, and what follows a message.
//!
//! ```text
//! image   := magics { entry }
//! magics  := COMMON magic | SERVICE magic | magic          the last for inventory.img, and in img_version 1
//! entry   := size message [ payload ]                      all numbers are u32, little-endian
//! ```
//!
//! Numbers are CRIU's `magic.h` of 4.2, which has older types too that are read but no longer written.

use crate::error::{Error, Result};
use crate::generated::schema as s;
use crate::messages as m;
use crate::schema::{Message, Schema};

/// A type of image.
#[derive(Debug)]
pub struct Type {
    /// As crit prints it.
    pub name: &'static str,
    pub magic: u32,
    /// The magic before it in img_version 2.
    pub frame: Frame,
    /// The message of the first entry, and that of all others.
    pub(crate) messages: [&'static Message; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Part of a dump.
    Common,
    /// What CRIU writes for itself and others beside a dump.
    Service,
    /// inventory.img, because it says which version this is.
    Bare,
}

pub(crate) const COMMON: u32 = 0x5456_4319;
pub(crate) const SERVICE: u32 = 0x5510_5940;

impl Type {
    const fn new(name: &'static str, magic: u32, message: &'static Message) -> Type {
        Type { name, magic, frame: Frame::Common, messages: [message, message] }
    }

    const fn framed(self, frame: Frame) -> Type {
        Type { frame, ..self }
    }

    const fn then(self, rest: &'static Message) -> Type {
        Type { messages: [self.messages[0], rest], ..self }
    }

    /// The type with this magic, if it is one whose content is messages.
    pub fn of_magic(magic: u32) -> Option<&'static Type> {
        ALL.iter().find(|kind| kind.magic == magic)
    }
}

macro_rules! types {
    ($($name:ident $magic:literal $message:ident $($more:ident($argument:expr))*;)*) => {
        $(
            #[doc = concat!("Entries are `", stringify!($message), "`.")]
            pub const $name: Type = Type::new(stringify!($name), $magic, &s::$message)$(.$more($argument))*;
        )*
        /// Every type whose content is messages.
        pub static ALL: &[Type] = &[$($name),*];
    };
}

types! {
    INVENTORY 0x5831_3116 INVENTORY_ENTRY framed(Frame::Bare);
    PSTREE 0x5027_3030 PSTREE_ENTRY;
    CORE 0x5505_3847 CORE_ENTRY;
    IDS 0x5443_2030 TASK_KOBJ_IDS_ENTRY;
    MM 0x5749_2820 MM_ENTRY;
    VMAS 0x5412_3737 VMA_ENTRY;
    PAGEMAP 0x5608_4025 PAGEMAP_HEAD then(&s::PAGEMAP_ENTRY);
    MEMFD_INODE 0x4845_3499 MEMFD_INODE_ENTRY;
    FDINFO 0x5621_3732 FDINFO_ENTRY;
    FILES 0x5630_3138 FILE_ENTRY;
    REG_FILES 0x5036_3636 REG_FILE_ENTRY;
    EXT_FILES 0x5925_5641 EXT_FILE_ENTRY;
    NS_FILES 0x6139_4011 NS_FILE_ENTRY;
    PIPES 0x5651_3555 PIPE_ENTRY;
    PIPES_DATA 0x5645_3709 PIPE_DATA_ENTRY;
    FIFO 0x5836_4939 FIFO_ENTRY;
    FIFO_DATA 0x5933_3054 PIPE_DATA_ENTRY;
    EVENTFD_FILE 0x4452_3722 EVENTFD_FILE_ENTRY;
    EVENTPOLL_FILE 0x4502_3858 EVENTPOLL_FILE_ENTRY;
    EVENTPOLL_TFD 0x4443_3746 EVENTPOLL_TFD_ENTRY;
    SIGNALFD 0x5732_3820 SIGNALFD_ENTRY;
    TIMERFD 0x5049_3712 TIMERFD_ENTRY;
    INOTIFY_FILE 0x4842_4431 INOTIFY_FILE_ENTRY;
    INOTIFY_WD 0x5456_2009 INOTIFY_WD_ENTRY;
    FANOTIFY_FILE 0x5509_6122 FANOTIFY_FILE_ENTRY;
    FANOTIFY_MARK 0x5650_6035 FANOTIFY_MARK_ENTRY;
    PIDFD 0x5443_5556 PIDFD_ENTRY;
    BPFMAP_FILE 0x5750_6142 BPFMAP_FILE_ENTRY;
    BPFMAP_DATA 0x6432_4033 BPFMAP_DATA_ENTRY;
    TUNFILE 0x5714_3751 TUNFILE_ENTRY;
    TTY_FILES 0x5943_3025 TTY_FILE_ENTRY;
    TTY_INFO 0x5945_3036 TTY_INFO_ENTRY;
    TTY_DATA 0x5941_3026 TTY_DATA_ENTRY;
    REMAP_FPATH 0x5913_3954 REMAP_FILE_PATH_ENTRY;
    GHOST_FILE 0x5258_3605 GHOST_FILE_ENTRY then(&s::GHOST_CHUNK_ENTRY);
    FILE_LOCKS 0x5432_3616 FILE_LOCK_ENTRY;
    UNIXSK 0x5437_3943 UNIX_SK_ENTRY;
    INETSK 0x5644_3851 INET_SK_ENTRY;
    TCP_STREAM 0x5146_5506 TCP_STREAM_ENTRY;
    NETLINK_SK 0x5800_5614 NETLINK_SK_ENTRY;
    PACKETSK 0x6045_4618 PACKET_SOCK_ENTRY;
    SK_QUEUES 0x5626_4026 SK_PACKET_ENTRY;
    CREDS 0x5402_3547 CREDS_ENTRY;
    FS 0x5140_3912 FS_ENTRY;
    SIGACT 0x5534_4201 SA_ENTRY;
    ITIMERS 0x5746_4056 ITIMER_ENTRY;
    POSIX_TIMERS 0x5260_3957 POSIX_TIMER_ENTRY;
    RLIMIT 0x5711_3925 RLIMIT_ENTRY;
    SECCOMP 0x6441_3049 SECCOMP_ENTRY;
    APPARMOR 0x5942_3047 APPARMOR_ENTRY;
    CGROUP 0x5938_3330 CGROUP_ENTRY;
    MNTS 0x5556_3928 MNT_ENTRY;
    AUTOFS 0x4935_3943 AUTOFS_ENTRY;
    BINFMT_MISC 0x6734_3323 BINFMT_MISC_ENTRY;
    UTSNS 0x5447_3203 UTSNS_ENTRY;
    TIMENS 0x4311_4433 TIMENS_ENTRY;
    PIDNS 0x6115_7326 PIDNS_ENTRY;
    USERNS 0x5547_4906 USERNS_ENTRY;
    IPC_VAR 0x5311_5007 IPC_VAR_ENTRY;
    IPCNS_SHM 0x4628_3044 IPC_SHM_ENTRY;
    IPCNS_MSG 0x5545_3737 IPC_MSG_ENTRY;
    IPCNS_SEM 0x5957_3019 IPC_SEM_ENTRY;
    NETNS 0x5593_3752 NETNS_ENTRY;
    NETDEV 0x5737_3951 NET_DEVICE_ENTRY;
    CPUINFO 0x6140_4013 CPUINFO_ENTRY;
    STATS 0x5709_3306 STATS_ENTRY framed(Frame::Service);
    IRMAP_CACHE 0x5700_4059 IRMAP_CACHE_ENTRY framed(Frame::Service);
}

/// What follows a message in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    None,
    /// So many bytes, and then zeros up to a multiple of `pad` bytes.
    Bytes {
        len: u64,
        pad: u64,
    },
    /// What a connection has received and what it has sent, in bytes.
    Queues {
        received: u64,
        sent: u64,
    },
    /// Values of semaphores: so many of 16 bits, and then zeros up to a multiple of 8 bytes.
    Semaphores {
        count: u64,
    },
    /// So many entries that belong to this one.
    Messages {
        count: u32,
    },
    /// The rest of the file.
    Rest,
}

impl Payload {
    /// What follows `bytes`, a `message` that has been checked.
    pub(crate) fn after(message: &'static Message, bytes: &[u8]) -> Result<Payload> {
        fn read<M: Schema>(bytes: &[u8]) -> Result<M> {
            M::decode(bytes).map_err(|error| Error::refused(M::SCHEMA.name, error))
        }
        let plain = |len| Payload::Bytes { len, pad: 1 };
        Ok(match message.name {
            "pipe_data_entry" => plain(read::<m::PipeDataEntry>(bytes)?.bytes.into()),
            "sk_packet_entry" => plain(read::<m::SkPacketEntry>(bytes)?.length.into()),
            "ghost_chunk_entry" => plain(read::<m::GhostChunkEntry>(bytes)?.len),
            "ghost_file_entry" if read::<m::GhostFileEntry>(bytes)?.chunks != Some(true) => Payload::Rest,
            "bpfmap_data_entry" => {
                let data: m::BpfmapDataEntry = read(bytes)?;
                plain(u64::from(data.keys_bytes) + u64::from(data.values_bytes))
            }
            "tcp_stream_entry" => {
                let stream: m::TcpStreamEntry = read(bytes)?;
                Payload::Queues { received: stream.inq_len.into(), sent: stream.outq_len.into() }
            }
            "ipc_shm_entry" => {
                let segment: m::IpcShmEntry = read(bytes)?;
                let in_pagemaps = segment.in_pagemaps == Some(true);
                if in_pagemaps { Payload::None } else { Payload::Bytes { len: segment.size, pad: 4 } }
            }
            "ipc_sem_entry" => Payload::Semaphores { count: read::<m::IpcSemEntry>(bytes)?.nsems.into() },
            "ipc_msg_entry" => Payload::Messages { count: read::<m::IpcMsgEntry>(bytes)?.qnum },
            "ipc_msg" => Payload::Bytes { len: read::<m::IpcMsg>(bytes)?.msize.into(), pad: 8 },
            _ => Payload::None,
        })
    }

    /// Bytes that it takes in a file of which `rest` bytes are left.
    pub(crate) fn size(self, rest: u64) -> u64 {
        match self {
            Payload::None | Payload::Messages { .. } => 0,
            Payload::Bytes { len, pad } => len.checked_next_multiple_of(pad).unwrap_or(u64::MAX),
            Payload::Queues { received, sent } => received + sent,
            Payload::Semaphores { count } => (count * 2).next_multiple_of(8),
            Payload::Rest => rest,
        }
    }
}

/// The message of the entries that `Payload::Messages` counts.
pub(crate) static INNER: &Message = &s::IPC_MSG;
