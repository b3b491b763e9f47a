//! Hashes bodies that are ready at the same moment together.
//!
//! A body is put into a queue, and a task is started that takes from it, unless as many run as there
//! are threads. Such a task first lets all other tasks run that can, so that their bodies are in the
//! queue as well; then it takes as many as the processor hashes together, and no more than that much
//! data, so that it does not keep its thread for long.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::{Digest, one};

/// Fewer bodies are not hashed faster together.
const GROUP_MIN: usize = 4;

/// The most bodies that are hashed together.
const GROUP_MAX: usize = 16;

/// About the most data that is hashed together; some milliseconds' worth.
const GROUP_BYTES_MAX: usize = 24 * 1_024 * 1_024;

/// Hashes bodies, several at once where several are ready.
pub(crate) struct Hasher {
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// The tasks that take from it.
    tasks: usize,
}

struct Waiting {
    body: Bytes,
    done: oneshot::Sender<Digest>,
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self { queue: Arc::default() }
    }

    /// Hashes a body.
    pub(crate) async fn sha256(&self, body: &Bytes) -> Digest {
        // Nobody answers where the runtime is about to end.
        self.enqueue(body).await.unwrap_or_else(|_| one(body))
    }

    fn enqueue(&self, body: &Bytes) -> oneshot::Receiver<Digest> {
        let (done, digest) = oneshot::channel();
        let runtime = Handle::current();
        let mut queue = lock(&self.queue);
        queue.waiting.push_back(Waiting { body: body.clone(), done });
        if queue.tasks < runtime.metrics().num_workers() {
            queue.tasks += 1;
            runtime.spawn(work(Arc::clone(&self.queue)));
        }
        digest
    }
}

/// Hashes what is in the queue until that is empty.
async fn work(queue: Arc<Mutex<Queue>>) {
    loop {
        tokio::task::yield_now().await;
        let Some(group) = lock(&queue).take_group() else { return };
        let bodies: Vec<&[u8]> = group.iter().map(|waiting| &*waiting.body).collect();
        let digests = together(&bodies);
        for (Waiting { body, done }, digest) in group.into_iter().zip(digests) {
            // Whoever waits for the digest may need the memory of the body.
            drop(body);
            // The request may have been given up.
            let _ = done.send(digest);
        }
    }
}

impl Queue {
    /// Takes what is worth hashing together, or one body; ends the task that asks if there is none.
    fn take_group(&mut self) -> Option<Vec<Waiting>> {
        if self.waiting.is_empty() {
            self.tasks -= 1;
            return None;
        }
        let mut bytes = 0;
        let within = |waiting: &&Waiting| {
            bytes += waiting.body.len();
            bytes <= GROUP_BYTES_MAX
        };
        let ready = self.waiting.iter().take(width()).take_while(within).count();
        let count = if ready < GROUP_MIN { 1 } else { ready };
        Some(self.waiting.drain(..count).collect())
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns how many bodies are hashed together at the most: 1 where that gains nothing, or where
/// the library's digests are not those of the other one.
fn width() -> usize {
    static WIDTH: OnceLock<usize> = OnceLock::new();
    *WIDTH.get_or_init(|| {
        let width = tape_sha256::lane_width().min(GROUP_MAX);
        if width >= GROUP_MIN && agrees(hash_many) { width } else { 1 }
    })
}

/// Hashes bodies together, or one by one if they are few.
fn together(bodies: &[&[u8]]) -> Vec<Digest> {
    if bodies.len() < GROUP_MIN || width() == 1 {
        return bodies.iter().map(|body| one(body)).collect();
    }
    hash_many(bodies)
}

fn hash_many(bodies: &[&[u8]]) -> Vec<Digest> {
    let mut digests = vec![Digest::default(); bodies.len()];
    tape_sha256::hash_many(bodies, &mut digests);
    digests
}

/// Compares digests around the borders of blocks and padding with those of the library that signs
/// everything else.
fn agrees(hash_many: impl Fn(&[&[u8]]) -> Vec<Digest>) -> bool {
    let data: Vec<u8> = (0..=u8::MAX).cycle().take(1_000).collect();
    let bodies: Vec<&[u8]> =
        (0..=130).chain([511, 512, 513, 1_000]).map(|len| &data[..len]).collect();
    let groups = [bodies.as_slice()].into_iter().chain(bodies.chunks(GROUP_MIN));
    groups
        .into_iter()
        .all(|group| hash_many(group).iter().zip(group).all(|(digest, body)| *digest == one(body)))
}

#[cfg(test)]
mod tests;
