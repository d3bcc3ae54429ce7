//! The vote, path by path.

use serde_json::{Map, Value};

use super::classes::{Class, by_votes_of, canonical_order, classes};
use super::lists::slots;
use super::similar::exact_text;
use super::{FieldVote, RecordOptions};
use crate::order::{in_order, taken};

/// A vote over some records.
pub(super) struct Merge<'a> {
    pub options: &'a RecordOptions,
    /// Candidates, those without a record included.
    pub candidates: usize,
    /// What was decided so far.
    pub fields: Vec<FieldVote>,
}

/// What can stand at a path, in the order in which one of equally many votes wins: what holds more comes
/// first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
    Scalar,
    Null,
    Missing,
}

const KINDS: [Kind; 5] = [Kind::Object, Kind::Array, Kind::Scalar, Kind::Null, Kind::Missing];

fn kind_of(value: Option<&Value>) -> Kind {
    match value {
        None => Kind::Missing,
        Some(Value::Null) => Kind::Null,
        Some(Value::Object(_)) => Kind::Object,
        Some(Value::Array(_)) => Kind::Array,
        Some(_) => Kind::Scalar,
    }
}

impl Merge<'_> {
    /// Decides what stands at `path`, given what each voter has there; none: the field is missing. `review`:
    /// something above it was decided by no majority.
    pub(super) fn decide(&mut self, path: &str, held: &[Option<&Value>], review: bool) -> Option<Value> {
        let count = |kind: Kind| held.iter().filter(|value| kind_of(**value) == kind).count();
        let counts = KINDS.map(count);
        if counts[0] + counts[1] == 0 {
            return self.scalar(path, held, Vec::new(), review);
        }
        // Containers and single values cannot be compared: first which of them it is.
        let most = counts.into_iter().max().unwrap_or_default();
        let winner = counts.iter().position(|count| *count == most).unwrap_or_default();
        let is_tied = counts.iter().filter(|count| **count == most).count() > 1;
        let review = review || is_tied;
        let of_kind = |kind: Kind| -> Vec<Option<&Value>> {
            held.iter().copied().filter(|value| kind_of(*value) == kind).collect()
        };
        let mut others: Vec<Class> = Vec::new();
        for (at, kind) in KINDS.into_iter().enumerate() {
            if at != winner && counts[at] > 0 {
                others.extend(match kind {
                    Kind::Scalar => classes(&of_kind(kind), self.options.tolerance),
                    _ => vec![Class { value: most_frequent(&of_kind(kind)), votes: counts[at] }],
                });
            }
        }
        let others = by_votes_of(others);
        let voters = of_kind(KINDS[winner]);
        let value = match KINDS[winner] {
            Kind::Object | Kind::Array => {
                let place = self.fields.len();
                let review = review || self.is_low(most);
                let merged = self.container(path, &voters, review);
                let is_empty = self.fields.len() == place;
                // A container is listed where something else was possible, or nothing in it is.
                if is_empty || !others.is_empty() {
                    let marker =
                        if merged.is_array() { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
                    let winner = Class { value: Some(marker), votes: most };
                    let vote = self.vote(path, winner, others, review);
                    self.fields.insert(place, vote);
                }
                return Some(merged);
            }
            Kind::Scalar => return self.scalar(path, &voters, others, review),
            Kind::Null => Some(Value::Null),
            Kind::Missing => None,
        };
        let vote = self.vote(path, Class { value: value.clone(), votes: most }, others, review);
        self.fields.push(vote);
        value
    }

    fn container(&mut self, path: &str, voters: &[Option<&Value>], review: bool) -> Value {
        let objects: Vec<&Map<String, Value>> =
            voters.iter().filter_map(|value| value.as_ref()?.as_object()).collect();
        let arrays: Vec<&Vec<Value>> = voters.iter().filter_map(|value| value.as_ref()?.as_array()).collect();
        match arrays.is_empty() {
            true => Value::Object(self.object(path, &objects, review)),
            false => Value::Array(self.array(path, &arrays, review)),
        }
    }

    fn is_low(&self, votes: usize) -> bool {
        self.share(votes) < self.options.review_below
    }

    fn share(&self, votes: usize) -> f64 {
        votes as f64 / self.candidates.max(1) as f64
    }

    fn vote(&self, path: &str, winner: Class, others: Vec<Class>, review: bool) -> FieldVote {
        let is_tied = others.iter().any(|class| class.votes >= winner.votes);
        FieldVote {
            path: path.to_owned(),
            value: winner.value,
            votes: winner.votes,
            share: self.share(winner.votes),
            review: review || is_tied || self.is_low(winner.votes),
            others: others.into_iter().map(|class| (class.value, class.votes)).collect(),
        }
    }

    /// A vote among single values; `others` are of kinds that lost already.
    fn scalar(
        &mut self,
        path: &str,
        held: &[Option<&Value>],
        others: Vec<Class>,
        review: bool,
    ) -> Option<Value> {
        let mut classes = classes(held, self.options.tolerance).into_iter();
        let winner = classes.next()?;
        let value = winner.value.clone();
        // A tie is one among them; the kind was decided before.
        let losers: Vec<Class> = classes.collect();
        let is_tied = losers.iter().any(|class| class.votes >= winner.votes);
        let mut vote = self.vote(path, winner, Vec::new(), review || is_tied);
        let others = by_votes_of(losers.into_iter().chain(others).collect());
        vote.others = others.into_iter().map(|class| (class.value, class.votes)).collect();
        self.fields.push(vote);
        value
    }

    fn object(&mut self, path: &str, objects: &[&Map<String, Value>], review: bool) -> Map<String, Value> {
        let mut places: Vec<(&str, usize)> = Vec::new();
        for fields in objects {
            places.extend(fields.keys().enumerate().map(|(place, name)| (name.as_str(), place)));
        }
        let by_name = in_order(places.len(), &|a, b| places[a].cmp(&places[b]));
        let names: Vec<(&str, f64)> = by_name
            .chunk_by(|a, b| places[*a].0 == places[*b].0)
            .map(|same| (places[same[0]].0, mean(same.iter().map(|at| places[*at].1), same.len())))
            .collect();
        // By their mean place; sorted by name before, and equal places stay so.
        let by_place = in_order(names.len(), &|a, b| names[a].1.total_cmp(&names[b].1));
        let mut merged = Map::new();
        for at in by_place {
            let name = names[at].0;
            let held: Vec<Option<&Value>> = objects.iter().map(|fields| fields.get(name)).collect();
            let path = super::child(path, name);
            if let Some(value) = self.decide(&path, &held, review) {
                merged.insert(name.to_owned(), value);
            }
        }
        merged
    }

    fn array(&mut self, path: &str, arrays: &[&Vec<Value>], review: bool) -> Vec<Value> {
        // Which elements belong together depends on the different lists alone, not on how many gave them: a
        // copy of a candidate adds votes and moves nothing.
        let texts: Vec<String> =
            arrays.iter().map(|items| items.iter().map(exact_text).collect::<Vec<_>>().join(",")).collect();
        let longest_first = in_order(arrays.len(), &|a, b| {
            arrays[b].len().cmp(&arrays[a].len()).then_with(|| texts[a].cmp(&texts[b]))
        });
        let mut lists: Vec<&[Value]> = Vec::new();
        let mut times: Vec<usize> = Vec::new();
        for same in
            longest_first.chunk_by(|a, b| texts[*a] == texts[*b] && arrays[*a].len() == arrays[*b].len())
        {
            lists.push(arrays[same[0]]);
            times.push(same.len());
        }
        let mut kept: Vec<(f64, bool, Vec<Option<&Value>>)> = Vec::new();
        let mut dropped: Vec<Class> = Vec::new();
        for slot in slots(&lists) {
            let held: Vec<Option<&Value>> = slot
                .members
                .iter()
                .flat_map(|(list, item)| std::iter::repeat_n(lists[*list].get(*item), times[*list]))
                .collect();
            if 2 * held.len() < arrays.len() {
                dropped.push(Class { value: most_frequent(&held), votes: held.len() });
                continue;
            }
            let places = slot.members.iter().map(|(list, item)| times[*list] * item);
            kept.push((mean(places, held.len()), 2 * held.len() == arrays.len(), held));
        }
        // Equal places stay in the order of the slots, which the different lists decide.
        let by_place = in_order(kept.len(), &|a, b| kept[a].0.total_cmp(&kept[b].0));
        let kept = taken(&mut kept, &by_place);
        let mut merged = Vec::new();
        for (_, is_tied, held) in kept {
            let path = format!("{path}/{}", merged.len());
            merged.extend(self.decide(&path, &held, review || is_tied));
        }
        for element in dropped {
            let winner = Class { value: None, votes: arrays.len() - element.votes };
            let vote = self.vote(&format!("{path}/-"), winner, vec![element], review);
            self.fields.push(vote);
        }
        merged
    }
}

fn mean(places: impl Iterator<Item = usize>, count: usize) -> f64 {
    places.sum::<usize>() as f64 / count.max(1) as f64
}

/// The value that stands most often among some; of equally many the first in canonical order.
fn most_frequent(values: &[Option<&Value>]) -> Option<Value> {
    let texts: Vec<String> = values.iter().map(|value| value.map_or_else(String::new, exact_text)).collect();
    let order = in_order(texts.len(), &|a, b| texts[a].cmp(&texts[b]));
    let runs = order.chunk_by(|a, b| texts[*a] == texts[*b]);
    let best =
        runs.min_by(|a, b| b.len().cmp(&a.len()).then_with(|| canonical_order(values[a[0]], values[b[0]])))?;
    values[best[0]].cloned()
}
