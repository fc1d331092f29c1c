//! Elsewhere: the partitions that other instances hold, and what those say of a catalog.
//!
//! Each is asked at the address that it says of itself. What cannot be asked has not agreed.

use crate::clock::Stopwatch;
use crate::service::{Owners, Trial, ask_trial};
use axum::body::Bytes;
use futures_util::StreamExt as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Who is thought to hold a partition is asked; then whoever is found to, where that was wrong.
const TRIES: usize = 2;
/// Instances that are asked at a time; each is sent the whole catalog.
const ASKED_AT_ONCE: usize = 8;
/// After so long, and a failure, the owners of the other partitions are not looked for.
const LOOKED_IN_VAIN: Duration = Duration::from_secs(10);

/// How the instances that hold partitions are reached.
#[derive(Debug, Clone)]
pub(super) struct Elsewhere {
    pub(super) owners: Arc<dyn Owners>,
    /// Where this instance says that it answers.
    pub(super) own: String,
    pub(super) runtime: Handle,
}

/// Why an instance did not give its word, and which one that was.
type Unasked = (String, String);

impl Elsewhere {
    /// What partitions that are not held here say of a catalog; never [`Trial::Elsewhere`].
    pub(super) fn try_catalog(&self, text: &Bytes, partitions: &[u32]) -> Vec<(u32, Trial)> {
        let mut said = Vec::new();
        let mut left: Left = partitions.iter().map(|partition| (*partition, None)).collect();
        for _ in 0..TRIES {
            let owners = self.find(&mut left, &mut said);
            if owners.is_empty() && left.is_empty() {
                return said;
            }
            for answer in self.ask(owners, text) {
                take(&mut left, &mut said, answer);
            }
        }
        said.extend(left.into_iter().map(|(partition, unasked)| {
            let reason = unasked.map(|(owner, why)| format!("{owner} held it last, {why}"));
            let reason = reason.unwrap_or_else(|| "no instance holds it".to_owned());
            let advice = "see http.advertise where that lasts";
            (partition, not_now(partition, &format!("{reason}; {advice}")))
        }));
        said
    }

    /// Who is to be asked for which of the partitions that are left. Those that nobody has ever
    /// held have nothing against any catalog; those whose owner cannot be told have not agreed.
    fn find(&self, left: &mut Left, said: &mut Vec<(u32, Trial)>) -> BTreeMap<String, Vec<u32>> {
        let mut owners: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let (clock, mut broken, known) = (Stopwatch::start(), None, said.len());
        for (partition, unasked) in left.iter_mut() {
            let wrong = unasked.as_ref().map(|(owner, _)| owner.clone());
            // Where looking fails and takes long, it would for each of them.
            let is_vain = broken.is_some() && clock.elapsed() > LOOKED_IN_VAIN;
            let found = match broken.clone().filter(|_| is_vain) {
                Some(reason) => Err(reason),
                None => self.owners.owner_of(*partition, wrong.as_deref()),
            };
            match found {
                Err(reason) => {
                    said.push((*partition, unknown(*partition, &reason)));
                    broken = Some(reason);
                }
                Ok(None) => said.push((*partition, Trial::Fits)),
                Ok(Some(owner)) if wrong.as_ref() == Some(&owner) => {}
                Ok(Some(owner)) if owner == self.own => {
                    let reason = "which is the address of this instance, that does not hold it \
                                  now (it may have stopped, see /readyz)";
                    *unasked = Some((owner, reason.to_owned()));
                }
                Ok(Some(owner)) => owners.entry(owner).or_default().push(*partition),
            }
        }
        for (partition, _) in said.iter().skip(known) {
            left.remove(partition);
        }
        owners
    }

    fn ask(&self, owners: BTreeMap<String, Vec<u32>>, text: &Bytes) -> Vec<Answer> {
        let asking = owners.into_iter().map(|(owner, partitions)| {
            let text = text.clone();
            async move {
                let answer = ask_trial(&owner, &partitions, text).await;
                (owner, partitions, answer)
            }
        });
        let asking = futures_util::stream::iter(asking).buffer_unordered(ASKED_AT_ONCE);
        self.runtime.block_on(asking.collect())
    }
}

/// An instance, the partitions that it was asked for, and what it said.
type Answer = (String, Vec<u32>, Result<Vec<(u32, Trial)>, String>);
/// What is yet to be said of partitions: why nobody has said it so far.
type Left = BTreeMap<u32, Option<Unasked>>;

/// Takes over what an instance has said; what it has not is left.
fn take(left: &mut Left, said: &mut Vec<(u32, Trial)>, (owner, asked, answer): Answer) {
    let mut unasked = |partition, why: String| {
        left.insert(partition, Some((owner.clone(), why)));
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            for partition in asked {
                unasked(partition, format!("and could not be asked: {error}"));
            }
            return;
        }
    };
    for partition in asked {
        let trial = answer.iter().find(|(of, _)| *of == partition).map(|(_, trial)| trial);
        match trial {
            None | Some(Trial::Elsewhere) => {
                unasked(partition, "and says that it does not now".to_owned());
            }
            Some(trial @ (Trial::Fits | Trial::Contradicts(_) | Trial::NotNow(_))) => {
                said.push((partition, trial.clone()));
            }
        }
    }
    for (partition, _) in said.iter() {
        left.remove(partition);
    }
}

fn unknown(partition: u32, reason: &str) -> Trial {
    not_now(partition, &format!("which instance holds it is not known: {reason}"))
}

fn not_now(partition: u32, reason: &str) -> Trial {
    Trial::NotNow(format!("partition {partition} has not been asked: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::post;
    use tokio::net::TcpListener;
    use tokio::runtime::Runtime;

    /// Owners by partition; whoever is told to be wrong is believed.
    #[derive(Debug)]
    struct Known(BTreeMap<u32, Result<Option<String>, String>>);

    impl Owners for Known {
        fn owner_of(&self, partition: u32, _: Option<&str>) -> Result<Option<String>, String> {
            self.0.get(&partition).cloned().unwrap_or(Ok(None))
        }
    }

    fn trials(known: &[(u32, Result<Option<&str>, &str>)], asked: &[u32]) -> Vec<(u32, Trial)> {
        let owned = |owner: &Result<Option<&str>, &str>| match owner {
            Ok(owner) => Ok(owner.map(str::to_owned)),
            Err(error) => Err((*error).to_owned()),
        };
        let known = known.iter().map(|(partition, owner)| (*partition, owned(owner))).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let own = "here:1".to_owned();
        let runtime_handle = runtime.handle().clone();
        Elsewhere { owners: Arc::new(Known(known)), own, runtime: runtime_handle }
            .try_catalog(&Bytes::from_static(b"{}"), asked)
    }

    #[track_caller]
    fn not_now(trial: &Trial, words: &[&str]) {
        let Trial::NotNow(reason) = trial else { panic!("{trial:?}") };
        assert!(words.iter().all(|word| reason.contains(word)), "{reason}");
    }

    #[test]
    fn who_cannot_be_asked_has_not_agreed() {
        assert_eq!(trials(&[], &[3]), [(3, Trial::Fits)], "nobody has rated anything there");
        let said = trials(&[(1, Ok(Some("here:1"))), (2, Ok(Some("127.0.0.1:1")))], &[1, 2, 3]);
        let said: BTreeMap<u32, Trial> = said.into_iter().collect();
        assert_eq!(said.len(), 3);
        not_now(&said[&1], &["partition 1", "address of this instance", "http.advertise"]);
        not_now(&said[&1], &["see /readyz"]);
        not_now(&said[&2], &["partition 2", "127.0.0.1:1", "could not be asked", "http.advertise"]);
        assert_eq!(said[&3], Trial::Fits);
        // One that is not found says nothing of the others.
        let said = trials(&[(1, Err("the broker is away")), (2, Ok(None))], &[1, 2]);
        assert_eq!(said.len(), 2);
        not_now(&said[0].1, &["partition 1", "the broker is away"]);
        assert_eq!(said[1], (2, Trial::Fits));
    }

    /// Partition 1 is thought to be held by the first of two instances; whoever was told that this
    /// is wrong finds the second one.
    #[derive(Debug)]
    struct Moved([String; 2]);

    impl Owners for Moved {
        fn owner_of(&self, _: u32, wrong: Option<&str>) -> Result<Option<String>, String> {
            let [before, now] = &self.0;
            let owner = if wrong == Some(before) { now } else { before };
            Ok(Some(owner.clone()))
        }
    }

    /// Starts an instance that says this of partition 1, and gives its address.
    fn instance(runtime: &Runtime, verdict: &str) -> String {
        let said = format!(
            "{{\"trials\":[{{\"partition\":1,\"verdict\":\"{verdict}\",\"reason\":\"cut anew\"}}]}}"
        );
        let route = axum::Router::new().route("/v1/catalog/trial", post(async move || said));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        runtime.spawn(async move { axum::serve(listener, route).await });
        address
    }

    /// What is known of a partition may be older than its last move.
    #[test]
    fn who_held_a_partition_before_does_not_answer_for_whoever_holds_it_now() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let asked = |owners: [&str; 2]| {
            let owners = Arc::new(Moved(owners.map(str::to_owned)));
            let runtime = runtime.handle().clone();
            Elsewhere { owners, own: "here:1".to_owned(), runtime }
                .try_catalog(&Bytes::from_static(b"{}"), &[1])
        };
        let verdicts = ["elsewhere", "fits", "contradicts"];
        let [none, fits, contradicts] = verdicts.map(|verdict| instance(&runtime, verdict));
        let cut = [(1, Trial::Contradicts("cut anew".to_owned()))];
        assert_eq!(asked([&none, &contradicts]), cut);
        assert_eq!(asked(["127.0.0.1:1", &contradicts]), cut, "one that is gone");
        assert_eq!(asked([&none, &fits]), [(1, Trial::Fits)]);
        // Whoever holds it answers, and nobody else is asked.
        assert_eq!(asked([&fits, &contradicts]), [(1, Trial::Fits)]);
        // Nobody is known but one that does not hold it.
        let said = asked([&none, &none]);
        assert_eq!(said.len(), 1);
        not_now(&said[0].1, &["partition 1", "says that it does not now"]);
    }

    #[test]
    fn what_an_instance_says_is_taken_and_the_rest_is_left() {
        let mut left: Left = (0..4).map(|one| (one, None)).collect();
        let mut said = Vec::new();
        let cut = || Trial::Contradicts("cut anew".to_owned());
        let answer = vec![(0, Trial::Fits), (1, cut()), (2, Trial::Elsewhere)];
        take(&mut left, &mut said, ("b:1".to_owned(), vec![0, 1, 2, 3], Ok(answer)));
        assert_eq!(said, [(0, Trial::Fits), (1, cut())]);
        assert_eq!(left.keys().copied().collect::<Vec<_>>(), [2, 3]);
    }
}
