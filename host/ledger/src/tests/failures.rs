//! A disk that is full, broken or slow.

use std::io::{self, Write};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, mpsc};

use super::*;
use crate::appender::SegmentFile;

/// A disk with room for so many bytes, and what is on it.
#[derive(Clone)]
struct SmallDisk {
    room: usize,
    cuts: bool,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl SmallDisk {
    fn new(room: usize) -> Self {
        Self {
            room,
            cuts: true,
            bytes: Arc::default(),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }
}

impl Write for SmallDisk {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut bytes = self.bytes.lock().unwrap();
        let fits = line.len().min(self.room - bytes.len());
        if fits == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        bytes.extend_from_slice(&line[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SegmentFile for SmallDisk {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        if !self.cuts {
            return Err(io::Error::other("broken"));
        }
        self.bytes
            .lock()
            .unwrap()
            .truncate(usize::try_from(length).unwrap());
        Ok(())
    }
}

fn on(disk: &SmallDisk, sync: impl FnMut() -> io::Result<()> + Send + 'static) -> Ledger {
    Ledger::on(
        Box::new(disk.clone()),
        sync,
        "test".to_owned(),
        Clock::SYSTEM,
    )
    .unwrap()
}

/// Refuses until the disk is full; says how many were kept.
fn fill(ledger: &Ledger) -> usize {
    // Each by another caller: who is refused again and again is counted.
    let asked = |n| Asked::of(&format!("agent-{n}"), "github", "search_issues");
    (0..1_000)
        .take_while(|n| ledger.refuse(asked(*n).refused("a.b")).is_ok())
        .count()
}

#[tokio::test]
async fn x16_a_full_disk_admits_nobody_and_keeps_whole_lines() {
    let disk = SmallDisk::new(10_000);
    let ledger = on(&disk, || Ok(()));
    let call = ledger
        .admit(Asked::usual().admitted(), reach(false))
        .await
        .unwrap();
    let refused = fill(&ledger);
    assert!(refused > 10 && !ledger.healthy());
    assert!(disk.text().ends_with("\"}\n"));
    assert_eq!(disk.text().lines().count(), 1 + refused);

    // Room again is no way back for this segment: what was not kept meanwhile would be a gap.
    disk.bytes.lock().unwrap().clear();
    let failed = ledger.admit(Asked::usual().admitted(), reach(false)).await;
    assert!(matches!(&failed, Err(LedgerError::Failed(_))), "{failed:?}");
    assert!(matches!(
        call.close(&closed(Ending::Ok)),
        Err(LedgerError::Failed(_))
    ));
    assert_eq!(disk.text(), "");
}

#[test]
fn x16_half_a_line_that_stays_is_not_gone_on_with() {
    let disk = SmallDisk {
        cuts: false,
        ..SmallDisk::new(10_000)
    };
    let ledger = on(&disk, || Ok(()));
    let refused = fill(&ledger);
    let text = disk.text();
    assert_eq!(text.len(), 10_000);
    assert_eq!(text.lines().count(), refused + 1);
    assert!(ledger.refuse(Asked::usual().refused("a.b")).is_err());
    assert_eq!(disk.text(), text);
}

#[tokio::test]
async fn x16_a_failed_sync_admits_nobody_any_more() {
    let disk = SmallDisk::new(1 << 20);
    let ledger = on(&disk, || Err(io::Error::other("EIO")));
    let reading = ledger
        .admit(Asked::usual().admitted(), reach(false))
        .await
        .unwrap();
    reading.close(&closed(Ending::Ok)).unwrap();

    let writing = ledger.admit(Asked::usual().admitted(), reach(true)).await;
    assert!(matches!(&writing, Err(LedgerError::Failed(why)) if why.contains("EIO")));
    assert!(!ledger.healthy());
    assert!(
        ledger
            .admit(Asked::usual().admitted(), reach(false))
            .await
            .is_err()
    );
}

/// After a power cut there is what the last sync found: a call that may have had an effect is in it,
/// and no line is half there.
#[tokio::test]
async fn x15_a_power_cut_takes_no_call_that_may_have_had_an_effect() {
    let disk = SmallDisk::new(1 << 20);
    let synced: Arc<Mutex<Vec<u8>>> = Arc::default();
    let sync = {
        let (disk, synced) = (disk.clone(), Arc::clone(&synced));
        move || {
            synced
                .lock()
                .unwrap()
                .clone_from(&disk.bytes.lock().unwrap());
            Ok(())
        }
    };
    let ledger = on(&disk, sync);
    for round in 0..64 {
        let writes = round % 4 == 3;
        let call = ledger
            .admit(Asked::usual().admitted(), reach(writes))
            .await
            .unwrap();
        if writes {
            // It runs from here on, and the power goes.
            let left = String::from_utf8(synced.lock().unwrap().clone()).unwrap();
            let admitted = format!("{{\"seq\":{},", call.id());
            assert!(left.lines().any(|line| line.starts_with(&admitted)));
            assert!(left.ends_with("\"}\n"));
        }
        call.close(&closed(Ending::Ok)).unwrap();
    }
}

/// A sync that begins when it is told to, and counts.
fn slow_sync() -> (
    mpsc::Sender<()>,
    Arc<AtomicU32>,
    impl FnMut() -> io::Result<()> + Send,
) {
    let (go, gate) = mpsc::channel();
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let sync = move || {
        gate.recv().map_err(io::Error::other)?;
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    };
    (go, count, sync)
}

#[tokio::test]
async fn a_slow_sync_holds_up_only_who_waits_for_it_and_serves_them_together() {
    let (go, count, sync) = slow_sync();
    let ledger = on(&SmallDisk::new(1 << 20), sync);
    // Goes before the ledger, which waits for its thread: a failed test ends too.
    let go = go;
    let writers: Vec<_> = (0..32)
        .map(|_| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.admit(Asked::usual().admitted(), reach(true)).await })
        })
        .collect();
    // This test's runtime has one thread: when the last of them has run, all stand in line.
    tokio::task::yield_now().await;
    let reading = ledger
        .admit(Asked::usual().admitted(), reach(false))
        .await
        .unwrap();
    reading.close(&closed(Ending::Ok)).unwrap();
    assert!(writers.iter().all(|writer| !writer.is_finished()));

    // At most two are needed: one may have begun with the first of them.
    go.send(()).unwrap();
    go.send(()).unwrap();
    for writer in writers {
        drop(writer.await.unwrap().unwrap());
    }
    assert!(count.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn a_call_given_up_while_it_waits_for_the_disk_is_cancelled() {
    let (go, _, sync) = slow_sync();
    let disk = SmallDisk::new(1 << 20);
    let ledger = on(&disk, sync);
    let go = go;
    {
        let asked = Asked::usual();
        let mut waiting = std::pin::pin!(ledger.admit(asked.admitted(), Reach::Writes));
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx)));
        assert!(polled.await.is_pending());
        assert!(disk.text().contains("\"admitted\"") && !disk.text().contains("\"closed\""));
    }
    assert!(disk.text().contains("\"code\":\"cancelled\""));
    go.send(()).unwrap();
}
