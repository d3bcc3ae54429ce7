//! Times of day and dates: values of their own kind, which are no ratios, quotients or differences.

use super::value::Value;
use crate::letters::lowercase;
use crate::math::verdict::Verdict;

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    /// Minutes since midnight; where am or pm is not known, as the clock's face was written.
    minutes: u32,
    seconds: u32,
    /// Whether am or pm was written, or the hour says it.
    is_certain: bool,
}

/// A date; the year may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    year: Option<u32>,
    month: u32,
    day: u32,
    /// `03/04/2020`: the third of April, or the fourth of March.
    is_ambiguous: bool,
}

/// A length of time in several units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Duration {
    parts: String,
    /// Its seconds, where its units have a fixed length.
    seconds: Option<u64>,
}

impl Duration {
    pub(super) fn same(&self, other: &Duration) -> Verdict {
        match (self.seconds, other.seconds) {
            _ if self.parts == other.parts => Verdict::Same,
            // `1 hour 90 minutes`: nothing is converted, so it is not called the same, but it is not different.
            (Some(a), Some(b)) => {
                if a == b {
                    Verdict::Unknown
                } else {
                    Verdict::Different
                }
            }
            _ => Verdict::Unknown,
        }
    }

    pub(super) fn key(&self) -> String {
        format!("duration {}", self.parts)
    }
}

impl Time {
    pub(super) fn same(&self, other: &Time) -> Verdict {
        if self == other {
            return Verdict::Same;
        }
        let face = |time: &Time| (time.minutes % 720, time.seconds);
        // Where one of them leaves out am or pm, as units may be left out.
        let may_be = self.is_certain != other.is_certain && face(self) == face(other);
        Verdict::known(may_be)
    }

    /// The seconds that a clock of twelve hours shows.
    pub(super) fn face(&self) -> u32 {
        self.minutes % 720 * 60 + self.seconds
    }

    pub(super) fn key(&self) -> String {
        format!("time {}:{} {}", self.minutes, self.seconds, self.is_certain)
    }
}

impl Date {
    pub(super) fn same(&self, other: &Date) -> Verdict {
        if self == other {
            return Verdict::Same;
        }
        let years = match (self.year, other.year) {
            (Some(a), Some(b)) => Verdict::known(a == b),
            (None, None) => Verdict::Same,
            // A day without its year is that day of any.
            _ => Verdict::Unknown,
        };
        let is_day = (self.month, self.day) == (other.month, other.day);
        let is_turned = (self.month, self.day) == (other.day, other.month);
        let days = match self.is_ambiguous || other.is_ambiguous {
            true if is_day || is_turned => Verdict::Unknown,
            _ => Verdict::known(is_day),
        };
        years.and(|| days)
    }

    pub(super) fn key(&self) -> String {
        let year = self.year.map_or_else(String::new, |year| year.to_string());
        format!("date {year} {} {} {}", self.month, self.day, self.is_ambiguous)
    }
}

/// `7:30` as a time of day, where it can be one. Beside another ratio its minutes must have two digits (or be none), so that
/// `1:2` stays a ratio.
pub(super) fn of_ratio(parts: &[Value], is_beside_time: bool) -> Option<Time> {
    let part = |value: &Value| -> Option<u32> {
        match value {
            Value::Scalar(scalar) => scalar.exact.as_ref()?.as_integer()?.try_into().ok(),
            _ => None,
        }
    };
    match parts {
        [hour, minute] => {
            let (hour, minute) = (part(hour)?, part(minute)?);
            // Not `then_some`, which would multiply any number.
            (hour < 24 && minute < 60 && (is_beside_time || minute == 0 || minute >= 10)).then(|| Time {
                minutes: hour * 60 + minute,
                seconds: 0,
                is_certain: hour == 0 || hour > 12,
            })
        }
        _ => None,
    }
}

#[rustfmt::skip]
const MONTHS: &[&str] = &[
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
];

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// The parts of a length of time in several units, "2 hours 30 minutes", as one text; `None` for one unit alone, which is a
/// quantity like any other.
fn duration(text: &str) -> Option<Duration> {
    if text.len() > 60 || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    // A number for each of the units.
    let digits =
        text.as_bytes().windows(2).filter(|pair| pair[0].is_ascii_digit() && !pair[1].is_ascii_digit());
    if digits.count() < 2 {
        return None;
    }
    let lower =
        lowercase(text).replace(['{', '}', ',', '\\'], " ").replace(" text ", " ").replace(" and ", " ");
    // A blank between a number and its unit may be missing: "2h".
    let mut spaced = String::new();
    for c in lower.chars() {
        let is_turn = spaced.ends_with(|last: char| last.is_ascii_digit()) && c.is_alphabetic();
        spaced.extend(is_turn.then_some(' '));
        spaced.push(c);
    }
    let words: Vec<&str> = spaced.split_whitespace().collect();
    if words.len() < 4 || !words.len().is_multiple_of(2) {
        return None;
    }
    let mut parts = Vec::new();
    let mut seconds = Some(0u64);
    for pair in words.chunks(2) {
        let number: u32 = pair[0].parse().ok()?;
        let unit = crate::math::units::canonical(pair[1]);
        let length = match unit.as_str() {
            "s" => Some(1),
            "min" => Some(60),
            "h" => Some(3_600),
            "day" => Some(86_400),
            "week" => Some(604_800),
            "year" | "month" => None,
            _ => return None,
        };
        seconds = seconds.zip(length).map(|(sum, length)| sum + u64::from(number) * length);
        parts.push(format!("{number} {unit}"));
    }
    Some(Duration { parts: parts.join(" "), seconds })
}

/// The time or the date that a whole answer is.
pub(super) fn parse(text: &str) -> Option<Value> {
    if !crate::reader::has_words(text) && !text.contains([':', 'm', 'M', 'h']) {
        return numeric_date(text.trim()).map(Value::Date);
    }
    // Most answers are none: a formula, or words without a digit.
    if text.len() > 48 || text.contains(['^', '=', '_', '+', '(', '$', '<', '>']) {
        return None;
    }
    if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        let is_word = |word: &str| text.trim().eq_ignore_ascii_case(word);
        return match (is_word("noon") || is_word("midday"), is_word("midnight")) {
            (true, _) => Some(Value::Time(Time { minutes: 720, seconds: 0, is_certain: true })),
            (_, true) => Some(Value::Time(Time { minutes: 0, seconds: 0, is_certain: true })),
            _ => None,
        };
    }
    if let Some(duration) = duration(text) {
        return Some(Value::Duration(duration));
    }
    if !text.contains([':', '/', '-', 'm', 'M', 'h', '.'])
        && !text.contains(|c: char| c.is_ascii_alphabetic())
    {
        return None;
    }
    if !may_be_date(text) {
        return None;
    }
    let plain: String = ["\\text{", "\\textrm{", "\\mathrm{", "\\,", "\\ ", "~", "{", "}"]
        .iter()
        .fold(text.replace("{:}", ":").replace('\u{202f}', " "), |text, mark| text.replace(mark, " "));
    let lower = lowercase(plain.trim());
    time(&lower).map(Value::Time).or_else(|| date(&lower).map(Value::Date))
}

/// Whether a text may hold a time or a date: half of a day, the name of a month, or two marks between numbers.
fn may_be_date(text: &str) -> bool {
    let bytes = text.to_ascii_lowercase().into_bytes();
    let marks = bytes.iter().filter(|byte| matches!(byte, b'/' | b'-' | b'.')).count();
    let is_half = |pair: &[u8]| matches!(pair, b"am" | b"pm" | b".m");
    let is_month = |start: &[u8]| {
        b"jfmasond".contains(&start[0]) && MONTHS.iter().any(|month| month.as_bytes().starts_with(start))
    };
    marks > 1 || bytes.windows(2).any(is_half) || bytes.windows(3).any(is_month)
}

/// `2:00 pm`, `2 p.m.`, `14:30:15`; a bare `2:15` may be a ratio and is left to that.
fn time(text: &str) -> Option<Time> {
    let text = text.strip_prefix("at ").unwrap_or(text);
    let (digits, half) = ["a.m.", "p.m.", "am", "pm", "a.m", "p.m"]
        .iter()
        .find_map(|half| Some((text.strip_suffix(half)?.trim_end(), half.starts_with('p'))))
        .map_or((text, None), |(digits, is_pm)| (digits, Some(is_pm)));
    let digits = digits.strip_suffix("o'clock").map_or(digits, str::trim_end);
    let parts: Vec<&str> = digits.split(':').collect();
    let number = |text: &str| -> Option<u32> {
        (text.len() <= 2 && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse().ok())?
    };
    let (hour, minute, second) = match parts.as_slice() {
        [hour] if half.is_some() => (number(hour)?, 0, 0),
        [hour, minute] if half.is_some() && minute.len() == 2 => (number(hour)?, number(minute)?, 0),
        [hour, minute, second] if half.is_some() && minute.len() == 2 && second.len() == 2 => {
            (number(hour)?, number(minute)?, number(second)?)
        }
        _ => return None,
    };
    if minute > 59 || second > 59 || !(1..=12).contains(&hour) {
        return None;
    }
    let hour = hour % 12 + if half == Some(true) { 12 } else { 0 };
    Some(Time { minutes: hour * 60 + minute, seconds: second, is_certain: true })
}

/// `May 12`, `12 May 2020`, `October 23rd, 2020`, `2019-07-20`, `10/23/2020`.
fn date(text: &str) -> Option<Date> {
    if let Some(date) = numeric_date(text) {
        return Some(date);
    }
    let (mut year, mut month, mut day) = (None, None, None);
    for word in text.split([' ', ',']).filter(|word| !word.is_empty() && *word != "of" && *word != "the") {
        let word = word.trim_end_matches('.');
        let is_name = |name: &&str| {
            word.len() >= 3 && name.starts_with(word) || word == "sept" && **name == *"september"
        };
        if WEEKDAYS.contains(&word) {
            continue;
        }
        if let Some(found) = MONTHS.iter().position(is_name) {
            month.is_none().then_some(())?;
            month = Some(found as u32 + 1);
            continue;
        }
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        if !matches!(&word[digits.len()..], "" | "st" | "nd" | "rd" | "th") {
            return None;
        }
        let number: u32 = digits.parse().ok()?;
        match digits.len() {
            1 | 2 if day.is_none() && (1..=31).contains(&number) => day = Some(number),
            4 if year.is_none() => year = Some(number),
            _ => return None,
        }
    }
    Some(Date { year, month: month?, day: day?, is_ambiguous: false })
}

/// The year, the month and the day of a text that is one date and nothing else; none where one of them is missing or the
/// day may be the month (`03/04/2024`).
pub(crate) fn calendar_date(text: &str) -> Option<(u32, u32, u32)> {
    match parse(text.trim())? {
        Value::Date(Date { year: Some(year), month, day, is_ambiguous: false }) => Some((year, month, day)),
        _ => None,
    }
}

fn numeric_date(text: &str) -> Option<Date> {
    let mark = text.chars().find(|c| !c.is_ascii_digit()).filter(|mark| matches!(mark, '/' | '-' | '.'))?;
    let parts: Vec<&str> = text.split(mark).collect();
    let [first, second, third] = parts.as_slice() else { return None };
    let number = |text: &str, most: usize| -> Option<u32> {
        (!text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse().ok())?
    };
    let valid = |year: u32, month: u32, day: u32, is_ambiguous: bool| {
        let is_valid = (1..=12).contains(&month) && (1..=31).contains(&day) && (1_000..3_000).contains(&year);
        is_valid.then_some(Date { year: Some(year), month, day, is_ambiguous })
    };
    if first.len() == 4 && second.len() == 2 && third.len() == 2 {
        return valid(number(first, 4)?, number(second, 2)?, number(third, 2)?, false);
    }
    if third.len() != 4 {
        return None;
    }
    let (a, b, year) = (number(first, 2)?, number(second, 2)?, number(third, 4)?);
    if mark == '.' {
        return valid(year, b, a, false); // with dots the day comes first everywhere
    }
    match (a <= 12, b <= 12) {
        (true, true) => valid(year, a, b, a != b),
        (true, false) => valid(year, a, b, false),
        (false, true) => valid(year, b, a, false),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(a: &str, b: &str) -> Verdict {
        match (parse(a), parse(b)) {
            (Some(Value::Time(a)), Some(Value::Time(b))) => a.same(&b),
            (Some(Value::Date(a)), Some(Value::Date(b))) => a.same(&b),
            _ => Verdict::Unknown,
        }
    }

    #[test]
    fn times_and_dates_are_compared_as_such() {
        for (a, b, expected) in [
            ("2:00 PM", "2 p.m.", Verdict::Same),
            ("7:30 a.m.", "07:30 AM", Verdict::Same),
            ("12:00 PM", "noon", Verdict::Same),
            ("2:00 PM", "2:00 AM", Verdict::Different),
            ("12 May", "May 12", Verdict::Same),
            ("October 23rd, 2020", "10/23/2020", Verdict::Same),
            ("October 23, 2020", "Oct. 24, 2020", Verdict::Different),
            ("2019-07-20", "July 20, 2019", Verdict::Same),
            ("03/04/2020", "April 3, 2020", Verdict::Unknown),
            ("03/04/2020", "May 3, 2020", Verdict::Different),
        ] {
            assert_eq!(verdict(a, b), expected, "{a} {b}");
        }
        for text in ["2:15", "10/23", "1992", "3-4-5", "13/13/2020", "x", "m=2"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
