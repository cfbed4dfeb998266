//! Calls that are given up, at every point: what the upstream counted is in the record.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, mpsc};

use super::*;
use crate::terms::{Attempt, AttemptAnswer, AttemptSink, Target, Unrecorded, Usage};

/// A call, its attempts and their record.
struct Recorded {
    context: HttpContext,
    log: AttemptLog,
    noted: Arc<Noted>,
}

impl Recorded {
    fn new(grant: &Arc<HttpGrant>) -> Self {
        let noted = Arc::new(Noted::default());
        let log = AttemptLog::new(noted.clone(), None);
        Self {
            context: context(grant, log.clone()),
            log,
            noted,
        }
    }

    /// Attempts of which anything may have left, once the record is closed.
    fn left(&self) -> usize {
        let ended = self.noted.ended();
        ended.iter().filter(|line| line["left"] == true).count()
    }
}

fn context(grant: &Arc<HttpGrant>, attempts: AttemptLog) -> HttpContext {
    let grants = vec![Arc::clone(grant)];
    let outbound = Outbound::new(
        "shop.ask",
        grants,
        Arc::new(secrets(&[])),
        Arc::new(Dialer::new()),
    )
    .unwrap();
    HttpContext::new(
        Arc::new(outbound),
        Limits::DEFAULT,
        Instant::now() + Duration::from_secs(20),
        Arguments::default(),
        "caller".into(),
        attempts,
    )
}

/// What a guest does with a response.
#[derive(Clone, Copy)]
enum Reads {
    /// It reads the body itself.
    Body,
    /// The host reads ahead for it.
    Ahead,
    /// It lets the body go unread, while the host reads ahead.
    Nothing,
}

async fn whole(context: &HttpContext, request: OutboundRequest, reads: Reads) {
    let Ok(mut response) = exchange(context, request).await else {
        return;
    };
    match reads {
        Reads::Body => while let Ok(Some(_)) = response.body.next().await {},
        Reads::Ahead => drop(ahead(response.body, room()).collect::<Vec<_>>().await),
        Reads::Nothing => drop(ahead(response.body, room())),
    }
}

/// Polls so often, and says whether that was the end.
async fn polled(mut future: Pin<&mut (impl Future<Output = ()> + ?Sized)>, most: usize) -> bool {
    let mut polls = 0;
    poll_fn(|context| {
        if polls == most {
            return std::task::Poll::Ready(false);
        }
        polls += 1;
        future.as_mut().poll(context).map(|()| true)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n73_wherever_a_call_is_given_up_what_left_is_in_its_record() {
    let reply = |request: &str| match request.starts_with("GET /to ") {
        true => raw("HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n"),
        false => chunked("", &[b"hello", b"world"]),
    };
    for reads in [Reads::Body, Reads::Ahead, Reads::Nothing] {
        let mut most = 0;
        loop {
            let upstream = Upstream::start(reply).await;
            let mut grant = HttpGrant::clone(&loopback_grant(upstream.port, None));
            grant.redirects = 2;
            let call = Recorded::new(&Arc::new(grant));
            let mut request = get(&upstream, "/to");
            request.body = Bytes::from_static(b"x");
            let mut asked = Box::pin(whole(&call.context, request, reads));
            let ended = polled(asked.as_mut(), most).await;
            drop(asked);
            call.log.settled().await;
            let (left, lines) = (call.left(), call.noted.ended().len());
            assert_eq!(
                call.log.egress().0 as usize,
                left,
                "billed after {most} polls"
            );
            let Recorded { context, noted, .. } = call;
            drop(context);
            // Its connections are closed now: nothing comes after what came.
            let came = upstream.gone().await;
            assert!(
                came <= left,
                "{came} requests came, {left} in the record, after {most} polls"
            );
            assert_eq!(noted.ended().len(), lines, "after {most} polls");
            if ended {
                assert_eq!((came, left), (2, 2));
                break;
            }
            assert!(most > 0 || left == 0, "nothing was polled");
            most += 1;
        }
        // How many there are is the scheduler's to say: on a busy machine much is ready at once.
        assert!(most >= 1, "it was never given up");
    }
}

/// The record waits for an attempt until it is written, whoever lets go of what first: here while the
/// recorder is at it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n73_a_record_waits_for_the_attempt_that_is_being_written() {
    let upstream = Upstream::start(|_| ok("", &vec![7; 3 << 20])).await;
    let grant = loopback_grant(upstream.port, None);
    for unread in [true, false] {
        let (writes, writing) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let slow = Slow {
            writes,
            gone: Mutex::new(gone),
        };
        let log = AttemptLog::new(Arc::new(slow), None);
        let context = context(&grant, log.clone());
        let response = exchange(&context, get(&upstream, "/a")).await.unwrap();
        let mut pieces = Box::pin(ahead(response.body, room()));
        if !unread {
            pieces.next().await.unwrap().unwrap();
        }
        let dropping = tokio::spawn(async move { drop(pieces) });
        tokio::task::block_in_place(|| writing.recv().unwrap());
        let mut settled = Box::pin(log.settled());
        assert!(futures_util::poll!(&mut settled).is_pending());
        go.send(()).unwrap();
        settled.await;
        dropping.await.unwrap();
        assert_eq!(log.egress().0, 1);
    }
}

#[tokio::test]
async fn n73_what_never_had_a_connection_has_not_left() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let call = Recorded::new(&loopback_grant(port, None));
    let mut request = request("POST", format!("http://127.0.0.1:{port}/"));
    request.body = Bytes::from_static(b"body");
    let error = exchange(&call.context, request).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unreachable);
    call.log.settled().await;
    let line = call.noted.ended()[0].clone();
    assert_eq!((&line["left"], &line["sent"]), (&false.into(), &0.into()));
    assert_eq!(line["verdict"]["is"], "failed");
    assert_eq!(call.log.egress(), (0, 0));
}

/// A record that takes its time with answers.
struct Slow {
    writes: mpsc::Sender<()>,
    gone: Mutex<mpsc::Receiver<()>>,
}

impl AttemptSink for Slow {
    fn attempt(&self, _: Attempt) -> Result<Option<u64>, Unrecorded> {
        Ok(Some(0))
    }

    fn answer(&self, _: u64, _: AttemptAnswer) {
        self.writes.send(()).unwrap();
        self.gone.lock().unwrap().recv().unwrap();
    }

    fn usage(&self, _: Usage) {}
}

/// A record that cannot be written, or that breaks.
struct Broken;

impl AttemptSink for Broken {
    fn attempt(&self, attempt: Attempt) -> Result<Option<u64>, Unrecorded> {
        match attempt.to {
            Target::Http(to) if to.method == "POST" => Err(Unrecorded),
            _ => Ok(Some(0)),
        }
    }

    fn answer(&self, _: u64, _: AttemptAnswer) {
        panic!("injected")
    }

    fn usage(&self, _: Usage) {}
}

#[tokio::test]
async fn n73_an_answer_that_cannot_be_written_is_billed() {
    let upstream = Upstream::start(|_| ok("", b"hello")).await;
    let log = AttemptLog::new(Arc::new(Broken), None);
    let context = context(&loopback_grant(upstream.port, None), log.clone());
    let response = exchange(&context, get(&upstream, "/")).await.unwrap();
    let dropped = std::panic::AssertUnwindSafe(|| drop(response));
    assert!(std::panic::catch_unwind(dropped).is_err());
    log.settled().await;
    assert_eq!(log.egress().0, 1);
}

#[tokio::test]
async fn n73_what_cannot_be_recorded_is_not_sent() {
    let upstream = Upstream::start(|_| ok("", b"hello")).await;
    let log = AttemptLog::new(Arc::new(Broken), None);
    let context = context(&loopback_grant(upstream.port, None), log.clone());
    let request = request("POST", format!("http://127.0.0.1:{}/", upstream.port));
    let error = exchange(&context, request).await.unwrap_err();
    assert!(error.say.contains("cannot record it"), "{}", error.say);
    log.settled().await;
    assert_eq!((log.egress(), upstream.requests()), ((0, 0), vec![]));
}
