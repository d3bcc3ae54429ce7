//! Server-sent events (WHATWG HTML, section 9.2) from bytes in chunks of any size.
//!
//! Two differences from the standard:
//! 1. An event that the end of the stream cuts short of its blank line is given by [`SseParser::finish`] instead of being
//!    dropped: servers forget the blank line, and the data says whether it is whole.
//! 2. A line and an event are bounded by [`MAX_EVENT`].
//!
//! `id` and `retry` are for reconnecting, which makes no sense for an answer; they are read over.

/// Most bytes of a line, and of the data of an event.
pub const MAX_EVENT: usize = 4 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// Its name; mostly none.
    pub event: String,
    /// Its lines of data, with a line feed between them. What is not UTF-8 has become `U+FFFD`.
    pub data: String,
}

/// A line or an event is longer than [`MAX_EVENT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Reads events. The same bytes give the same events however they are cut into chunks.
#[derive(Clone, Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed behind it is of the same line end.
    after_return: bool,
    past_first_line: bool,
    event: SseEvent,
    has_data: bool,
}

impl SseParser {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next bytes and adds the events that they complete to `events`.
    ///
    /// # Errors
    /// [`TooLong`]; there is no reading on after it.
    pub fn push(&mut self, mut chunk: &[u8], events: &mut Vec<SseEvent>) -> Result<(), TooLong> {
        while let Some(&first) = chunk.first() {
            if std::mem::take(&mut self.after_return) && first == b'\n' {
                chunk = &chunk[1..];
                continue;
            }
            let end = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let length = end.unwrap_or(chunk.len());
            if self.line.len() + length > MAX_EVENT {
                return Err(TooLong);
            }
            self.line.extend_from_slice(&chunk[..length]);
            let Some(end) = end else { return Ok(()) };
            self.after_return = chunk[end] == b'\r';
            chunk = &chunk[end + 1..];
            self.end_line(events)?;
        }
        Ok(())
    }

    /// Ends the stream: what stands there without its line end or blank line counts too.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn finish(&mut self, events: &mut Vec<SseEvent>) -> Result<(), TooLong> {
        if !self.line.is_empty() {
            self.end_line(events)?;
        }
        self.dispatch(events);
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<SseEvent>) -> Result<(), TooLong> {
        let line = std::mem::take(&mut self.line);
        let mut bytes = line.as_slice();
        if !std::mem::replace(&mut self.past_first_line, true) {
            bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        }
        if bytes.is_empty() {
            self.dispatch(events);
            return Ok(());
        }
        let text = String::from_utf8_lossy(bytes);
        let (field, value) = text.split_once(':').unwrap_or((&text, ""));
        self.field(field, value.strip_prefix(' ').unwrap_or(value))
    }

    fn field(&mut self, field: &str, value: &str) -> Result<(), TooLong> {
        match field {
            "event" => value.clone_into(&mut self.event.event),
            "data" => {
                if self.event.data.len() + value.len() >= MAX_EVENT {
                    return Err(TooLong);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments have an empty name.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self, events: &mut Vec<SseEvent>) {
        let event = std::mem::take(&mut self.event);
        if std::mem::take(&mut self.has_data) {
            events.push(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<SseEvent> {
        let (mut parser, mut events) = (SseParser::new(), Vec::new());
        for chunk in chunks {
            parser.push(chunk, &mut events).unwrap();
        }
        parser.finish(&mut events).unwrap();
        events
    }

    fn check(stream: &[u8], expected: &[(&str, &str)]) {
        let events = read([stream]);
        let found: Vec<_> = events.iter().map(|event| (event.event.as_str(), event.data.as_str())).collect();
        assert_eq!(found, expected, "{}", stream.escape_ascii());
        assert_eq!(read(stream.chunks(1)), events, "byte by byte: {}", stream.escape_ascii());
    }

    #[test]
    fn events_as_the_standard_has_them() {
        check(
            b"data: a\n\ndata:b\r\n\r\ndata:  c\r\rdata: d\n\n",
            &[("", "a"), ("", "b"), ("", " c"), ("", "d")],
        );
        check(b": ping\n\n\nevent: error\ndata: 1\ndata: 2\ndata\n\n", &[("error", "1\n2\n")]);
        check(b"event: lost\n\ndata: x\nid: 7\nretry: 1\nother: y\nno colon\n\n", &[("", "x")]);
        check("\u{feff}data: é角😀\n\n".as_bytes(), &[("", "é角😀")]);
        check(b"data: \xC3\xA9\xFF\n\n", &[("", "é\u{fffd}")]);
        check(b"data\n\n", &[("", "")]);
        check(b"data: a\r\ndata: b\n\r\n", &[("", "a\nb")]);
    }

    #[test]
    fn the_end_may_come_without_its_blank_line() {
        for end in ["", "\n", "\r", "\r\n", "\n\n", "\r\r", "\n\r", "\n\n\n"] {
            check(format!("data: x\n\ndata: [DONE]{end}").as_bytes(), &[("", "x"), ("", "[DONE]")]);
        }
        check(b"", &[]);
        check(b"\n: only a comment", &[]);
    }

    #[test]
    fn lines_and_events_are_bounded() {
        let mut events = Vec::new();
        let block = vec![b'x'; 1 << 20];
        let mut endless = SseParser::new();
        let pushed = (0..10).map(|_| endless.push(&block, &mut events)).take_while(Result::is_ok).count();
        assert_eq!(pushed, MAX_EVENT >> 20);
        let line = [b"data: ".as_slice(), &block, b"\n"].concat();
        let mut many = SseParser::new();
        let pushed = (0..10).map(|_| many.push(&line, &mut events)).take_while(Result::is_ok).count();
        assert_eq!((pushed, events.len()), (3, 0));
    }

    /// The events of a whole stream, by splitting it.
    fn by_splitting(stream: &str) -> Vec<SseEvent> {
        let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
        let mut events = Vec::new();
        for block in stream.split("\n\n") {
            let lines = || block.split('\n');
            let values = |name| {
                lines().filter_map(move |line| {
                    let (field, value) = line.split_once(':').unwrap_or((line, ""));
                    (field == name).then(|| value.strip_prefix(' ').unwrap_or(value).to_owned())
                })
            };
            let data: Vec<String> = values("data").collect();
            if !data.is_empty() {
                let event = values("event").next_back().unwrap_or_default();
                events.push(SseEvent { event, data: data.join("\n") });
            }
        }
        events
    }

    fn streams() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("data: "),
            Just("data:"),
            Just("data"),
            Just("event: e"),
            Just(": c"),
            Just("\n"),
            Just("\r"),
            Just("\r\n"),
            Just("\n\n"),
            Just("é角😀"),
            Just("{\"a\":1}"),
            Just("[DONE]"),
            Just(" "),
            Just(":"),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_events(stream in streams(), cuts in prop::collection::vec(0usize..200, 0..20)) {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|&cut| cut <= bytes.len()).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let events = read(cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]));
            prop_assert_eq!(&events, &by_splitting(&stream));
            prop_assert_eq!(&read(bytes.chunks(1)), &events);
        }

        #[test]
        fn any_bytes_in_any_chunks(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1usize..20) {
            prop_assert_eq!(read(bytes.chunks(size)), read([bytes.as_slice()]));
        }
    }
}
