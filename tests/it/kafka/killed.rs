//! `kill -9` of an instance under load, at random moments and at every phase of its work.

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, catalog};
use super::wire::Wire;
use crate::program::Workplace;
use crate::service::eventually;
use crate::simulation::dice::Dice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Kills of a run; `KILLS` asks for more.
const KILLS: usize = 12;
/// It goes on until every phase was met often enough, but not beyond so many times as many kills.
const KILLS_FACTOR_MAX: usize = 4;
/// How long a phase is waited for: a new member may have to wait for the session of the last one.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where enough kills must fall.
struct Goal {
    what: &'static str,
    phases: &'static [&'static str],
    /// How many of a hundred.
    percent: usize,
}

const RESTORING: &[&str] = &["restoring", "fetching"];

static GOALS: [Goal; 3] = [
    Goal { what: "inside an open transaction", phases: &["open"], percent: 20 },
    Goal { what: "between commit and WriteBatch", phases: &["writing"], percent: 10 },
    Goal { what: "in restore", phases: RESTORING, percent: 10 },
];

/// How many kills have met each goal.
#[derive(Default)]
struct Score {
    kills: usize,
    met: [usize; 3],
}

impl Score {
    fn count(&mut self, phases: &[String]) {
        self.kills += 1;
        for (goal, met) in GOALS.iter().zip(&mut self.met) {
            *met += usize::from(phases.iter().any(|phase| goal.phases.contains(&phase.as_str())));
        }
    }

    /// What lacks most, for a run of so many kills.
    fn lacks(&self, kills: usize) -> Option<&'static Goal> {
        let missing =
            |goal: &Goal, met: usize| (kills * goal.percent).div_ceil(100).checked_sub(met);
        let all = GOALS.iter().zip(self.met);
        let lacking = all.filter_map(|(goal, met)| Some((goal, missing(goal, met)?)));
        lacking
            .filter(|(_, missing)| *missing > 0)
            .max_by_key(|(_, missing)| *missing)
            .map(|it| it.0)
    }

    fn told(&self) -> String {
        let all = GOALS.iter().zip(self.met);
        let met: Vec<_> = all.map(|(goal, met)| format!("{met} {}", goal.what)).collect();
        format!("of {} kills, {}", self.kills, met.join(", "))
    }
}

#[test]
fn killed_in_every_phase_it_loses_and_doubles_nothing() {
    let Some(broker) = Broker::shared() else { return };
    let asked = std::env::var("KILLS").ok().map(|kills| kills.parse().unwrap());
    let kills: usize = asked.unwrap_or(KILLS);
    let seed = std::env::var("USAGE_RATER_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut dice = Dice::new(seed.unwrap_or(20_260_114));
    let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
    place.write("catalog.json", catalog());
    place.write("a.toml", names.settings(&broker.bootstrap, "[commit]\ninterval_ms = 40"));
    let mut load = Load::long();
    let mut score = Score::default();
    while score.kills < kills || score.lacks(kills).is_some() {
        assert!(score.kills < kills * KILLS_FACTOR_MAX, "{}, which is not enough", score.told());
        // Every second one comes at any moment.
        let aim = score.lacks(kills).filter(|_| score.kills % 2 == 1);
        let server = Instance::start(&place, "a.toml");
        let is_early = aim.map_or_else(|| dice.one_in(3), |goal| goal.phases == RESTORING);
        if !is_early {
            let is_live = |line: &String| line.contains("phase: live ");
            eventually("it is live", || server.said().iter().any(is_live));
        }
        let is_over = AtomicBool::new(false);
        let phases = std::thread::scope(|scope| {
            scope.spawn(|| load.send_until((&wire, &names), &is_over));
            let phases = match aim {
                Some(goal) => server.kill_in(goal.phases, PATIENCE, &mut dice),
                None => {
                    std::thread::sleep(Duration::from_millis(dice.below(1_000)));
                    server.kill()
                }
            };
            is_over.store(true, Ordering::Relaxed);
            phases
        });
        let aimed = aim.map_or("at any moment", |goal| goal.what);
        tell(&format!("kill {}, {aimed}: {}", score.kills, phases.join(" ")));
        score.count(&phases);
    }
    tell(&score.told());
    let server = Instance::start(&place, "a.toml");
    load.send(&wire, &names, 500);
    server.catch_up(&wire, &names);
    server.stop();
    load.check(&place, &wire, &names);
    load.check_recomputed(&place, &wire, &names);
}

#[expect(clippy::print_stderr, reason = "which phases were hit is worth knowing")]
fn tell(line: &str) {
    eprintln!("{line}");
}
