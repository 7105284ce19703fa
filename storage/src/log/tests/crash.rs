//! Crashes at random moments: nothing acknowledged is missing, and nothing wrong is served.

use super::*;
use proptest::prelude::*;

/// What happens to the log.
#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    CleanStop,
    Reopen,
    Crash(Crash),
    /// The call that many calls later fails, and then the power does.
    FailThenCrash(u64, u64),
    Spare,
    Compact,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (1..6_u64).prop_map(Step::Append),
        1 => Just(Step::CleanStop),
        1 => Just(Step::Reopen),
        1 => any::<u64>().prop_map(|seed| Step::Crash(Crash::Torn(seed))),
        1 => prop_oneof![Just(Crash::KeepAll), Just(Crash::DropUnsynced)].prop_map(Step::Crash),
        2 => (1..12_u64, any::<u64>()).prop_map(|(call, seed)| Step::FailThenCrash(call, seed)),
        1 => Just(Step::Spare),
        1 => Just(Step::Compact),
    ]
}

/// Runs the steps against a map of what was acknowledged.
fn run(steps: &[Step]) {
    let disk = MemoryDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    let mut expected = BTreeMap::new();
    let mut next = 0;
    for step in steps {
        match step {
            Step::Append(count) => {
                let numbers = next..next + count;
                next += count;
                expected.extend(numbers.clone().zip(append(&mut log, numbers).unwrap()));
            }
            Step::CleanStop => {
                log.seal(Stamp::ZERO).unwrap();
                drop(log);
                let (reopened, recovery) = open(&disk).unwrap();
                assert!(recovery.clean && recovery.damages.is_empty(), "{recovery}");
                log = reopened;
            }
            Step::Reopen => {
                drop(log);
                log = reopen(&disk);
            }
            Step::Crash(crash) => {
                disk.crash(*crash);
                log = reopen(&disk);
            }
            Step::FailThenCrash(call, seed) => {
                disk.fail_at(*call, crate::disk::Fault::ForEver);
                loop {
                    let numbers = next..next + 2;
                    next += 2;
                    match append(&mut log, numbers.clone()) {
                        Ok(positions) => expected.extend(numbers.zip(positions)),
                        Err(_) => break,
                    }
                }
                disk.crash(Crash::Torn(*seed));
                log = reopen(&disk);
            }
            Step::Spare => log.wants_spare().into_iter().for_each(|job| job.run().unwrap()),
            Step::Compact => {
                if let Some(segment) = log.sealed_segments().last() {
                    let mut keep = |_: Position, _: &Frame<'_>| true;
                    assert!(log.compactor().compact(*segment, Stamp::ZERO, &mut keep).unwrap().damages.is_empty());
                }
            }
        }
    }
    check_all(&log, &expected);
    let mut damages = Vec::new();
    log.reader()
        .verify(&mut |item| {
            if let Item::Damage(damage) = item {
                damages.push(damage)
            }
        })
        .unwrap();
    assert_eq!(damages, [], "torn ends are no damage");
}

/// Opens the log after a crash: only a torn end may be reported.
fn reopen(disk: &MemoryDisk) -> Log {
    let (log, recovery) = open(disk).unwrap();
    for damage in &recovery.damages {
        assert_eq!(damage.kind, DamageKind::Tail, "{recovery}");
        let copy = Path::new(DIR).join("damaged").join(damage.copy.as_ref().unwrap());
        assert_eq!(disk.file_length(&copy).unwrap(), u64::from(damage.to - damage.from));
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acknowledged_is_ever_missing(steps in prop::collection::vec(step(), 1..60)) {
        run(&steps);
    }
}
