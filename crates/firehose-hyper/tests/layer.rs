//! The example `layer`, held to what it says.

use std::sync::atomic::Ordering;

#[path = "../examples/layer.rs"]
#[allow(unreachable_pub, reason = "it is a program of its own")]
mod layer;

#[tokio::test]
async fn layers_see_each_attempt() {
    let (delivered, counts) = layer::run(1_200, 10).await.unwrap();
    assert_eq!((delivered, counts.attempts.load(Ordering::Relaxed)), (1_200, 3));
    assert!(counts.bytes.load(Ordering::Relaxed) > 1_200 * 20);
}

#[tokio::test]
async fn layers_can_say_that_nothing_will_ever_be_sent() {
    let (delivered, counts) = layer::run(400, 0).await.unwrap();
    assert_eq!((delivered, counts.attempts.load(Ordering::Relaxed)), (0, 1));
}
