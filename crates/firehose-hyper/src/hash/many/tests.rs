//! Digests made together are those made one by one, and bodies that are ready at once are hashed so.

use firehose_proto::retry::Jitter;

use super::*;

fn check(bodies: &[&[u8]]) {
    let digests = hash_many(bodies);
    for (digest, body) in digests.iter().zip(bodies) {
        assert_eq!(*digest, one(body), "{} bytes among {}", body.len(), bodies.len());
    }
    assert_eq!(digests.len(), bodies.len());
}

fn random_bytes(random: &mut Jitter, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&random.number().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn all_short_lengths_agree_in_every_group_size() {
    let data = random_bytes(&mut Jitter::new(1), 300);
    let all: Vec<&[u8]> = (0..=300).map(|len| &data[..len]).collect();
    for size in 1..=2 * GROUP_MAX + 1 {
        for group in all.chunks(size) {
            check(group);
        }
        for body in &all {
            check(&vec![*body; size]);
        }
    }
}

#[test]
fn long_random_lengths_agree_in_every_group_size() {
    let mut random = Jitter::new(2);
    let data = random_bytes(&mut random, 6_000_000);
    for size in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17] {
        let mut length = || (random.number() % 6_000_000) as usize;
        let lengths: Vec<usize> = (0..size).map(|_| length()).collect();
        let bodies: Vec<&[u8]> = lengths.iter().map(|len| &data[data.len() - len..]).collect();
        check(&bodies);
    }
    check(&[data.as_slice(); 4]);
}

#[test]
fn a_library_that_is_wrong_is_not_used() {
    assert!(agrees(hash_many));
    let wrong_once = |bodies: &[&[u8]]| {
        let mut digests = hash_many(bodies);
        if bodies.len() == GROUP_MIN && bodies[0].len() == 56 {
            digests[3][31] ^= 1;
        }
        digests
    };
    assert!(!agrees(wrong_once));
}

#[test]
fn what_is_ready_at_once_is_taken_together() {
    let hasher = Hasher::new();
    let bodies: Vec<Bytes> = (0..10).map(|index| Bytes::from(vec![index; 100])).collect();
    let mut sizes = Vec::new();
    {
        let mut queue = lock(&hasher.queue);
        for body in &bodies {
            let (done, _) = oneshot::channel();
            queue.waiting.push_back(Waiting { body: body.clone(), done });
        }
        while !queue.waiting.is_empty() {
            sizes.push(queue.take_group().unwrap().len());
        }
    }
    assert_eq!(sizes.iter().sum::<usize>(), 10);
    let is_worth_it = |size: &usize| *size == 1 || (GROUP_MIN..=GROUP_MAX).contains(size);
    assert!(sizes.iter().all(is_worth_it), "{sizes:?}");
    if width() > 1 {
        assert!(sizes[0] >= GROUP_MIN, "{sizes:?}");
    }
}

#[test]
fn large_bodies_do_not_keep_a_thread_for_long() {
    let large = Bytes::from(vec![0; GROUP_BYTES_MAX / 5 + 1]);
    let mut queue = Queue::default();
    for _ in 0..9 {
        let (done, _) = oneshot::channel();
        queue.waiting.push_back(Waiting { body: large.clone(), done });
    }
    assert!(queue.take_group().unwrap().len() <= 4);
    let (done, _) = oneshot::channel();
    let larger = Bytes::from(vec![0; GROUP_BYTES_MAX + 1]);
    let mut queue = Queue { waiting: VecDeque::from([Waiting { body: larger, done }]), tasks: 0 };
    assert_eq!(queue.take_group().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_gets_the_digest_of_their_own_body() {
    let hasher = Arc::new(Hasher::new());
    let sum = |index: u8| Bytes::from(vec![index; 1_000 * usize::from(index)]);
    let tasks: Vec<_> = (0..60)
        .map(|index| {
            let hasher = Arc::clone(&hasher);
            tokio::spawn(async move { hasher.sha256(&sum(index)).await })
        })
        .collect();
    // Some are given up while they wait.
    for task in tasks.iter().step_by(7) {
        task.abort();
    }
    for (index, task) in (0..).zip(tasks) {
        match task.await {
            Ok(digest) => assert_eq!(digest, one(&sum(index))),
            Err(error) => assert!(error.is_cancelled() && index % 7 == 0),
        }
    }
    assert_eq!(hasher.sha256(&sum(3)).await, one(&sum(3)));
}
