//! Who is cut and who is not, in paused time.

use std::task::Waker;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{advance, timeout};

use super::*;

impl Resettable for DuplexStream {
    fn reset(&self) -> io::Result<()> {
        Ok(())
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn wire(buffer: usize) -> (Wire<DuplexStream>, DuplexStream, Arc<Pulse>) {
    let (ours, theirs) = duplex(buffer);
    let pulse = Arc::<Pulse>::default();
    let limits =
        Limits::default().header_timeout(SECOND * 10).idle_timeout(SECOND * 100).write_timeout(SECOND * 20);
    (Wire::new(ours, Arc::clone(&pulse), &limits, None), theirs, pulse)
}

/// How long it is until a read fails.
async fn cut_after(wire: &mut Wire<DuplexStream>) -> Duration {
    let from = Instant::now();
    let failed = timeout(SECOND * 10_000, wire.read_u8()).await.expect("it is cut").unwrap_err();
    assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
    from.elapsed()
}

#[tokio::test(start_paused = true)]
async fn one_that_says_nothing_is_cut_when_it_was_idle_for_long_enough() {
    let (mut wire, _theirs, _pulse) = wire(64);
    assert_eq!(cut_after(&mut wire).await.as_secs(), 100);
}

#[tokio::test(start_paused = true)]
async fn one_that_says_nothing_after_its_handshake_is_idle() {
    let (mut wire, mut theirs, pulse) = wire(64);
    theirs.write_u8(b'x').await.unwrap();
    wire.read_u8().await.unwrap();
    pulse.shaken();
    assert_eq!(cut_after(&mut wire).await.as_secs(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_cut_however_often_a_byte_comes() {
    let (mut wire, mut theirs, _pulse) = wire(64);
    let from = Instant::now();
    let drip = async {
        loop {
            theirs.write_u8(b'x').await.unwrap();
            sleep(SECOND).await;
        }
    };
    let read = async { while wire.read_u8().await.is_ok() {} };
    tokio::select! {
        () = drip => {}
        () = read => {}
    }
    assert_eq!(from.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn the_next_request_has_all_its_time_after_one_that_was_served() {
    let (mut wire, mut theirs, pulse) = wire(64);
    for _ in 0..5 {
        theirs.write_u8(b'x').await.unwrap();
        wire.read_u8().await.unwrap();
        // A part of a head, for nearly too long; then it is whole, and is served for longer than any limit.
        assert!(timeout(SECOND * 9, wire.read_u8()).await.is_err());
        let serving = pulse.request();
        assert!(timeout(SECOND * 1000, wire.read_u8()).await.is_err(), "nobody who is served is cut");
        drop(serving);
        assert!(timeout(SECOND * 99, wire.read_u8()).await.is_err());
    }
    let left = cut_after(&mut wire).await.as_secs();
    assert!(left <= 101, "between once and twice the limit: {left}");
}

#[tokio::test(start_paused = true)]
async fn over_http2_reading_has_no_limit() {
    let (mut wire, _theirs, pulse) = wire(64);
    pulse.carries_many();
    assert!(timeout(SECOND * 10_000, wire.read_u8()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn over_http2_one_that_takes_no_piece_of_an_answer_is_cut_and_one_that_does_is_not() {
    let (mut wire, _theirs, pulse) = wire(64);
    pulse.carries_many();
    let sending = pulse.sending();
    let slowly = async {
        for _ in 0..100 {
            sleep(SECOND * 19).await;
            sending.moved();
        }
    };
    let ((), after) = tokio::join!(slowly, cut_after(&mut wire));
    assert!((1_900 + 20..1_900 + 40).contains(&after.as_secs()), "cut after {after:?}");
}

#[tokio::test(start_paused = true)]
async fn over_http2_one_that_has_taken_everything_is_left_alone() {
    let (mut wire, _theirs, pulse) = wire(64);
    pulse.carries_many();
    let sending = pulse.sending();
    assert!(timeout(SECOND * 19, wire.read_u8()).await.is_err());
    drop(sending);
    assert!(timeout(SECOND * 10_000, wire.read_u8()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_is_cut_and_one_that_is_taken_slowly_is_not() {
    let (mut wire, mut theirs, _pulse) = wire(1);
    let from = Instant::now();
    let slowly = async {
        for _ in 0..100 {
            sleep(SECOND * 19).await;
            theirs.read_u8().await.unwrap();
        }
        // It takes no more.
        std::future::pending::<()>().await;
    };
    let write = async { wire.write_all(&[0; 1000]).await.unwrap_err() };
    let failed = tokio::select! {
        () = slowly => unreachable!(),
        failed = write => failed,
    };
    assert_eq!((failed.kind(), from.elapsed().as_secs()), (io::ErrorKind::TimedOut, 1920));
}

#[tokio::test(start_paused = true)]
async fn what_is_still_being_sent_is_taken_before_the_end_for_a_while() {
    let (mut wire, mut theirs, _pulse) = wire(1 << 20);
    theirs.write_all(&[0; 200_000]).await.unwrap();
    let from = Instant::now();
    wire.shutdown().await.unwrap();
    assert_eq!(from.elapsed(), LINGER);
    // One with nothing under way ends at once.
    let (mut quiet, _theirs, _pulse) = self::wire(64);
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut quiet).poll_shutdown(&mut context).is_ready());
    advance(SECOND).await;
}
