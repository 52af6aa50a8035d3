//! A search through every state that two candidates and one Lease can get into.
//!
//! Between any two events anything else may happen: time passes on clocks that run at different
//! speeds, a process does nothing for any time (it is stopped, or has no processor), a request is
//! carried out late or after it was given up, an answer is lost, a process is killed and begins
//! anew, a person deletes the Lease or labels it. In no state may two act as the leader.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use super::*;

/// Local time of every candidate: all times are kept relative to it, so that states come again.
const NOW: Duration = s(100);
/// Time that passes at once.
const TICK: Duration = s(4);
/// Changes of the holder that are looked at.
const TRANSITIONS: i32 = 2;
const NAMES: [&str; 2] = ["a", "b"];

/// A request at the API server.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Request {
    Read,
    Hold {
        version: Option<u32>,
        transitions: i32,
    },
}

/// An answer of the API server that has not arrived.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Answer {
    Lease(Option<Stored>),
    Held(Stored),
}

/// The Lease at the API server. `write` stands for the time that the holder wrote.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Stored {
    version: u32,
    write: u32,
    holder: usize,
    transitions: i32,
}

impl Stored {
    fn lease(&self) -> Lease {
        let renewed = self.write.to_string();
        Lease {
            version: self.version.to_string(),
            record: record(Some(NAMES[self.holder]), self.transitions, &renewed),
        }
    }
}

/// A process and what it has sent.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Process {
    candidate: Candidate,
    /// Its request, and the time at which it was sent.
    sent: Option<(Request, Duration)>,
    answer: Option<(Answer, Duration)>,
    /// A request that it does not wait for any more, which may be carried out all the same.
    given_up: Option<Request>,
}

impl Process {
    fn new(name: &str, given_up: Option<Request>) -> Self {
        Self {
            candidate: Candidate::new(name, TERMS),
            sent: None,
            answer: None,
            given_up,
        }
    }

    fn acts(&self) -> bool {
        self.candidate.leads_until() > Some(NOW)
    }

    /// Fails a request of the candidate, which may send the next one at once, which is one
    /// more order of events.
    fn failed(&mut self) {
        self.candidate.failed(NOW);
        self.candidate.not_before = s(0);
    }

    /// Lets one tick of its own clock pass: every time it knows lies further back.
    fn tick(&mut self) {
        // Further back than it is ever compared with is all the same.
        let back = |time: &mut Duration, furthest: Duration| {
            *time = time.saturating_sub(TICK).max(NOW.saturating_sub(furthest));
        };
        match &mut self.candidate.role {
            Role::Looks(Some(seen)) | Role::Follows(seen) => {
                back(&mut seen.at, TERMS.duration);
                back(&mut seen.read, TERMS.look());
            }
            Role::Leads(term) => back(&mut term.confirmed, TERMS.hold()),
            Role::Looks(None) | Role::Ended => {}
        }
        let sent = self.sent.iter_mut().map(|(_, sent)| sent);
        let answered = self.answer.iter_mut().map(|(_, sent)| sent);
        sent.chain(answered)
            .for_each(|sent| back(sent, TERMS.hold()));
    }
}

/// The whole world.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct World {
    processes: [Process; 2],
    stored: Option<Stored>,
    /// A number that no version and no write has yet.
    next: u32,
    /// Ticks so far, modulo those after which a slow clock has lost one.
    ticks: u8,
    /// Mishaps that may still happen: kills, and acts of a person.
    kills: u8,
    acts: u8,
}

/// Speeds of the two clocks.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    /// The process whose clock stands still for one tick of so many.
    slow: Option<(usize, u8)>,
}

impl World {
    fn new((kills, acts): (u8, u8)) -> Self {
        Self {
            processes: NAMES.map(|name| Process::new(name, None)),
            stored: None,
            next: 1,
            ticks: 0,
            kills,
            acts,
        }
    }

    /// Carries out a request of a process. Returns the answer; `None`: it is refused.
    fn carry_out(&mut self, of: usize, request: &Request) -> Option<Answer> {
        let Request::Hold {
            version,
            transitions,
        } = request
        else {
            return Some(Answer::Lease(self.stored.clone()));
        };
        if self.stored.as_ref().map(|stored| stored.version) != *version {
            return None;
        }
        let stored = Stored {
            version: self.next,
            write: self.next,
            holder: of,
            transitions: *transitions,
        };
        self.next += 1;
        self.stored = Some(stored.clone());
        Some(Answer::Held(stored))
    }

    /// Returns every world that may be next.
    fn next(&self, clocks: Clocks) -> Vec<Self> {
        let mut worlds = vec![self.ticked(clocks)];
        worlds.extend(self.touched_by_a_person());
        for of in 0..NAMES.len() {
            self.exchange(of, |world| worlds.push(world));
            worlds.extend(self.killed(of));
        }
        for world in &mut worlds {
            world.simplify();
        }
        worlds
    }

    fn ticked(&self, clocks: Clocks) -> Self {
        let mut world = self.clone();
        let slow = clocks.slow;
        world.ticks = slow.map_or(0, |(_, of)| (world.ticks + 1) % of);
        for (number, process) in world.processes.iter_mut().enumerate() {
            let stands_still = slow.is_some_and(|(slow, _)| slow == number) && world.ticks == 0;
            if !stands_still {
                process.tick();
            }
        }
        world
    }

    fn touched_by_a_person(&self) -> Vec<Self> {
        let (Some(stored), Some(acts)) = (&self.stored, self.acts.checked_sub(1)) else {
            return Vec::new();
        };
        let labelled = Stored {
            version: self.next,
            ..stored.clone()
        };
        let labelled = Self {
            stored: Some(labelled),
            next: self.next + 1,
            acts,
            ..self.clone()
        };
        // Whoever comes new to a deleted Lease cannot know that it was held: nobody comes new.
        let is_new = |process: &Process| match &process.candidate.role {
            Role::Looks(None) => true,
            Role::Looks(Some(seen)) | Role::Follows(seen) => seen.record.holder.is_none(),
            Role::Leads(_) | Role::Ended => false,
        };
        let deleted = (!self.processes.iter().any(is_new)).then(|| Self {
            stored: None,
            acts,
            kills: 0,
            ..self.clone()
        });
        deleted.into_iter().chain([labelled]).collect()
    }

    /// Adds the worlds in which one event of a request of this process has happened.
    fn exchange(&self, of: usize, mut add: impl FnMut(Self)) {
        let mut change = |change: &dyn Fn(&mut Self, usize)| {
            let mut world = self.clone();
            change(&mut world, of);
            add(world);
        };
        let process = &self.processes[of];
        let is_idle = process.sent.is_none() && process.answer.is_none();
        if is_idle && request(&process.candidate).is_some() {
            change(&|world, of| {
                let process = &mut world.processes[of];
                process.sent = request(&process.candidate).map(|request| (request, NOW));
            });
        }
        if let Some((request, sent)) = &process.sent {
            change(&|world, of| {
                let answer = world.carry_out(of, request);
                let process = &mut world.processes[of];
                process.sent = None;
                match answer {
                    // When it arrives makes no difference: all that follows is a reading.
                    None => process.candidate.refused(),
                    Some(answer) => process.answer = Some((answer, *sent)),
                }
            });
            // A reading that is given up does nothing any more.
            let writes = *request != Request::Read;
            if process.given_up.is_none() || !writes {
                change(&|world, of| {
                    let process = &mut world.processes[of];
                    let sent = process.sent.take().map(|(request, _)| request);
                    process.given_up = sent.filter(|_| writes).or_else(|| process.given_up.take());
                    process.failed();
                });
            }
        }
        if let Some((answer, sent)) = &process.answer {
            change(&|world, of| tell(&mut world.processes[of], answer, *sent));
            change(&|world, of| {
                world.processes[of].answer = None;
                world.processes[of].failed();
            });
        }
        if let Some(request) = &process.given_up {
            change(&|world, of| {
                world.carry_out(of, request);
                world.processes[of].given_up = None;
            });
            change(&|world, of| world.processes[of].given_up = None);
        }
    }

    /// Returns the world in which this process was killed, or ended by itself, and began anew.
    fn killed(&self, of: usize) -> Option<Self> {
        let process = &self.processes[of];
        let is_over = process.candidate.role == Role::Ended;
        let kills = if is_over {
            self.kills
        } else {
            self.kills.checked_sub(1)?
        };
        let mut world = self.clone();
        let sent = process.sent.as_ref().map(|(request, _)| request);
        let sent = sent.filter(|request| **request != Request::Read);
        let left = sent.or(process.given_up.as_ref()).cloned();
        world.processes[of] = Process::new(NAMES[of], left);
        world.kills = kills;
        // One that begins anew cannot know of a deleted Lease that it was held.
        (!is_over || self.stored.is_some()).then_some(world)
    }

    /// Makes worlds equal that cannot be told apart any more: a version that the Lease does not have
    /// never comes back, and of the writes only the order counts.
    fn simplify(&mut self) {
        let current = self.stored.as_ref().map(|stored| stored.version);
        for process in &mut self.processes {
            let is_refused = |request: &mut Request| match request {
                Request::Hold { version, .. } => *version != current,
                Request::Read => true,
            };
            process.given_up.take_if(is_refused);
        }
        let mut writes = BTreeSet::new();
        self.each_number(&mut |number, of| {
            if of == Number::Write {
                writes.insert(*number);
            }
        });
        self.each_number(&mut |number, of| {
            let place = writes.iter().position(|write| write == number);
            *number = match of {
                Number::Version => u32::from(Some(*number) == current),
                Number::Write => u32::try_from(place.unwrap_or_default()).unwrap(),
            };
        });
        self.next = 1 + u32::try_from(writes.len()).unwrap();
    }

    /// Calls `act` for each version and each number of a write that anybody knows.
    fn each_number(&mut self, act: &mut dyn FnMut(&mut u32, Number)) {
        let stored = self.stored.iter_mut();
        let answers = self.processes.iter_mut();
        let answers = answers.filter_map(|process| match &mut process.answer {
            Some((Answer::Held(stored) | Answer::Lease(Some(stored)), _)) => Some(stored),
            _ => None,
        });
        for stored in stored.chain(answers) {
            act(&mut stored.version, Number::Version);
            act(&mut stored.write, Number::Write);
        }
        for process in &mut self.processes {
            let sent = process.sent.iter_mut().map(|(request, _)| request);
            for request in sent.chain(&mut process.given_up) {
                if let Request::Hold {
                    version: Some(version),
                    ..
                } = request
                {
                    act(version, Number::Version);
                }
            }
            let mut of_text = |text: &mut String, of| {
                if let Ok(mut number) = text.parse() {
                    act(&mut number, of);
                    *text = number.to_string();
                }
            };
            let version = match &mut process.candidate.role {
                Role::Looks(Some(seen)) | Role::Follows(seen) => {
                    of_text(&mut seen.record.renewed, Number::Write);
                    &mut seen.version
                }
                Role::Leads(term) => &mut term.version,
                Role::Looks(None) | Role::Ended => continue,
            };
            if let Some(version) = version {
                of_text(version, Number::Version);
            }
        }
    }
}

/// A number that stands for a version of the Lease, or for the time that a write carried.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Number {
    Version,
    Write,
}

/// Returns the request that a candidate sends now, unless it is of more changes than are looked at.
fn request(candidate: &Candidate) -> Option<Request> {
    match candidate.next(NOW) {
        Step::Read => Some(Request::Read),
        Step::Hold {
            version,
            transitions,
        } => (transitions <= TRANSITIONS).then(|| Request::Hold {
            version: version.map(|version| version.parse().unwrap()),
            transitions,
        }),
        Step::Wait { .. } | Step::End => None,
    }
}

fn tell(process: &mut Process, answer: &Answer, sent: Duration) {
    process.answer = None;
    let candidate = &mut process.candidate;
    match answer {
        Answer::Lease(stored) => candidate.read(stored.as_ref().map(Stored::lease), NOW),
        Answer::Held(stored) => candidate.held(stored.lease(), sent),
    }
}

/// Returns a number that stands for a world in the set of those that are known: worlds take much memory.
fn digest(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// Searches through every world. Returns their number, and that of worlds in which each one acts;
/// an error is the way to a world in which both do.
fn search(clocks: Clocks, mishaps: (u8, u8)) -> Result<(usize, [usize; 2]), String> {
    let first = World::new(mishaps);
    let mut before = BTreeMap::from([(digest(&first), None)]);
    let mut open = VecDeque::from([first.clone()]);
    let mut acting = [0; 2];
    while let Some(world) = open.pop_front() {
        let acts = [0, 1].map(|of: usize| world.processes[of].acts());
        if acts == [true, true] {
            let way = way(first, &world, clocks, &before);
            return Err(format!("{clocks:?}: both act in the last of\n{way}"));
        }
        for (count, acts) in acting.iter_mut().zip(acts) {
            *count += usize::from(acts);
        }
        for next in world.next(clocks) {
            if let Entry::Vacant(entry) = before.entry(digest(&next)) {
                entry.insert(Some(digest(&world)));
                open.push_back(next);
            }
        }
    }
    Ok((before.len(), acting))
}

/// Returns the worlds on the way from one to another, one a line.
fn way(first: World, last: &World, clocks: Clocks, before: &BTreeMap<u64, Option<u64>>) -> String {
    let digests = std::iter::successors(Some(digest(last)), |digest| before[digest]);
    let digests: Vec<u64> = digests.collect();
    let mut world = first;
    let mut lines = vec![format!("{world:?}")];
    for wanted in digests.iter().rev().skip(1) {
        let mut next = world.next(clocks).into_iter();
        world = next.find(|world| digest(world) == *wanted).unwrap();
        lines.push(format!("{world:?}"));
    }
    lines.join("\n")
}

const EQUAL: Clocks = Clocks { slow: None };

// shows K1 K5
#[test]
fn two_candidates_never_act_at_once_whatever_happens_between_any_two_events() {
    // A clock that loses one tick in four: far more than any real one.
    let slow = Clocks { slow: Some((0, 4)) };
    // Kills, and acts of a person.
    let (none, kill, act) = ((0, 0), (1, 0), (0, 1));
    for (clocks, mishaps) in [(EQUAL, kill), (EQUAL, act), (slow, none)] {
        let (worlds, acting) = search(clocks, mishaps).unwrap();
        assert!(worlds > 100_000, "the search has ended early: {worlds}");
        assert!(acting.iter().all(|count| *count > 100), "{acting:?}");
    }
}

#[test]
fn the_search_finds_two_leaders_where_a_clock_runs_too_slowly_for_the_margin() {
    let clocks = Clocks { slow: Some((0, 2)) };
    let found = search(clocks, (0, 0)).unwrap_err();
    assert!(found.contains("both act"), "{found}");
}
