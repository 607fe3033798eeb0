//! What the kernel does to System V semaphores when a process ends (semop(2), `SEM_UNDO`). It shows that to nobody, but an
//! operation that would take the adjustment beyond its range fails with ERANGE, and one that has to wait changes nothing. So
//! a process is asked to do both at once: operations that add up to a question, and behind them one that waits and must not.

use crate::error::Result;
use crate::snapshot::{Snapshot, TaskState, Undo};
use crate::tree::{Member, Tree};
use inject::{Batch, Call, Outcome};

/// The largest value of a semaphore, and the largest adjustment; the smallest adjustment is one further from zero.
pub(crate) const LARGEST: i32 = 0x7fff;

/// struct sembuf
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) semaphore: u16,
    pub(crate) by: i32,
    pub(crate) flags: i32,
}

impl Operation {
    pub(crate) fn bytes(self) -> [u8; 6] {
        let ([a, b], [c, d], [e, f]) =
            (self.semaphore.to_le_bytes(), (self.by as i16).to_le_bytes(), (self.flags as i16).to_le_bytes());
        [a, b, c, d, e, f]
    }
}

/// A semaphore of a set that is asked about.
#[derive(Clone, Copy)]
struct Semaphore {
    set: u32,
    number: u16,
    value: i32,
}

/// Which adjustment a process may have.
#[derive(Clone, Copy)]
enum Guess {
    /// More than this.
    Above(i32),
    /// Less than this, which is below zero or zero.
    Below(i32),
}

/// Notes the adjustments that processes have for the semaphores of a snapshot.
pub(crate) fn collect(tree: &mut Tree<'_>, snapshot: &mut Snapshot) -> Result<()> {
    let sets = snapshot.namespaces.ipc.values().flat_map(|ipc| &ipc.sem);
    let semaphores: Vec<Semaphore> = sets
        .flat_map(|(set, values)| {
            let semaphore = |(number, value): (usize, &u16)| Semaphore {
                set: set.desc.id,
                number: number as u16,
                value: i32::from(*value),
            };
            values.iter().enumerate().map(semaphore)
        })
        .collect();
    if semaphores.is_empty() {
        return Ok(());
    }
    for member in tree.members.iter_mut().filter(|member| member.state != TaskState::Zombie) {
        let undo = of_process(member, &semaphores)?;
        if !undo.is_empty() {
            snapshot.side.processes.entry(member.status.pid).or_default().undo = undo;
        }
    }
    Ok(())
}

fn of_process(member: &mut Member, semaphores: &[Semaphore]) -> Result<Vec<Undo>> {
    let both: Vec<(Semaphore, Guess)> =
        semaphores.iter().flat_map(|each| [(*each, Guess::Above(0)), (*each, Guess::Below(0))]).collect();
    let answers = ask(member, &both)?;
    let mut undo = Vec::new();
    for ((semaphore, guess), _) in both.into_iter().zip(answers).filter(|(_, is_so)| *is_so) {
        // Halves the range until one adjustment is left, which is not further from zero than `most`.
        let (mut least, mut most) = (1, LARGEST + i32::from(matches!(guess, Guess::Below(_))));
        while least < most {
            let middle = (least + most) / 2;
            let guess = match guess {
                Guess::Above(_) => Guess::Above(middle),
                Guess::Below(_) => Guess::Below(-middle),
            };
            match ask(member, &[(semaphore, guess)])?[0] {
                true => least = middle + 1,
                false => most = middle,
            }
        }
        let adjustment = if matches!(guess, Guess::Above(_)) { least } else { -least };
        undo.push(Undo { set: semaphore.set, semaphore: semaphore.number, adjustment });
    }
    Ok(undo)
}

/// Whether guesses are right. A process that may not change a set has nothing to undo in it.
fn ask(member: &mut Member, guesses: &[(Semaphore, Guess)]) -> Result<Vec<bool>> {
    let mut answers = Vec::new();
    // As many as surely have room in one batch.
    for guesses in guesses.chunks(1000) {
        let mut batch = Batch::new();
        let calls: Vec<Call> =
            guesses.iter().map(|(semaphore, guess)| question(&mut batch, *semaphore, *guess)).collect();
        let outcome: Outcome = member.process().run(0, &batch)?;
        answers.extend(
            calls.into_iter().map(|call| outcome.result(call).is_err_and(|e| e.raw() == libc::ERANGE)),
        );
    }
    Ok(answers)
}

fn question(batch: &mut Batch, semaphore: Semaphore, guess: Guess) -> Call {
    let undo = libc::SEM_UNDO;
    // The value stays within its own range all the time, and is not zero at the end.
    let operations = match guess {
        // The adjustment becomes larger by what is taken: beyond the range if it is above the limit.
        Guess::Above(limit) => vec![(LARGEST - semaphore.value, 0), (limit - LARGEST, undo), (-LARGEST, 0)],
        // It becomes smaller by what is given. In two steps, because the value does not go as far.
        Guess::Below(limit) => {
            let given = LARGEST + 1 + limit;
            let (first, second) = (given / 2, given - given / 2);
            vec![(-semaphore.value, 0), (first, undo), (-first, 0), (second, undo), (-LARGEST, 0)]
        }
    };
    let operations = operations.iter().filter(|(by, _)| *by != 0);
    let bytes: Vec<u8> = operations
        .clone()
        .flat_map(|(by, flags)| {
            let flags = flags | libc::IPC_NOWAIT;
            Operation { semaphore: semaphore.number, by: *by, flags }.bytes()
        })
        .collect();
    let place = batch.bytes(&bytes);
    let arguments = [semaphore.set.into(), place.into(), operations.count().into()];
    batch.call_may_fail("semop", libc::SYS_semop, &arguments)
}
