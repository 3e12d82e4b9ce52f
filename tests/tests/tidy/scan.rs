//! A small reader of Rust: enough to tell code from comments and strings, and to find functions and test modules.

/// The code alone: comments, strings and characters become spaces; every line stays where it is.
pub(crate) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = token_end(bytes, at);
        match end {
            Some(end) => {
                for b in &mut out[at..end] {
                    if *b != b'\n' {
                        *b = b' ';
                    }
                }
                at = end;
            }
            None => at += 1,
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

/// Where a comment, string or character that begins at `at` ends; nothing when code stands there.
fn token_end(b: &[u8], at: usize) -> Option<usize> {
    let rest = &b[at..];
    if rest.starts_with(b"//") {
        return Some(find(b, at, b"\n").unwrap_or(b.len()));
    }
    if rest.starts_with(b"/*") {
        return Some(find(b, at, b"*/").map_or(b.len(), |i| i + 2));
    }
    let in_word = at > 0 && (b[at - 1].is_ascii_alphanumeric() || b[at - 1] == b'_');
    if !in_word && let Some(end) = raw_string_end(b, at) {
        return Some(end);
    }
    match b[at] {
        b'"' => Some(quoted_end(b, at + 1, b'"')),
        b'\'' => character_end(b, at),
        _ => None,
    }
}

/// The end of `r"..."`, `r#"..."#`, `br"..."`.
fn raw_string_end(b: &[u8], at: usize) -> Option<usize> {
    let mut i = at;
    if b[i] == b'b' {
        i += 1;
    }
    if b.get(i) != Some(&b'r') {
        return None;
    }
    let hashes = b[i + 1..].iter().take_while(|c| **c == b'#').count();
    if b.get(i + 1 + hashes) != Some(&b'"') {
        return None;
    }
    let close = [&b"\""[..], &vec![b'#'; hashes]].concat();
    Some(find(b, i + 2 + hashes, &close).map_or(b.len(), |e| e + close.len()))
}

/// A character, or nothing for a lifetime.
fn character_end(b: &[u8], at: usize) -> Option<usize> {
    match b.get(at + 1)? {
        b'\\' => Some(quoted_end(b, at + 1, b'\'')),
        _ => {
            // One character of up to four bytes, then the closing quote.
            let close = (at + 2..(at + 6).min(b.len())).find(|i| b[*i] == b'\'')?;
            let one = std::str::from_utf8(&b[at + 1..close]).ok()?;
            (one.chars().count() == 1).then_some(close + 1)
        }
    }
}

fn quoted_end(b: &[u8], mut at: usize, quote: u8) -> usize {
    while at < b.len() && b[at] != quote {
        at += if b[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(b.len())
}

fn find(b: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    b.get(from..)?.windows(what.len()).position(|w| w == what).map(|i| i + from)
}

/// The line of a position, from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].bytes().filter(|b| *b == b'\n').count() + 1
}

/// The end of the braces that open at `open`.
fn braces_end(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (i, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + i + 1;
        }
    }
    code.len()
}

/// Positions where `word` stands as a word of its own.
pub(crate) fn words(code: &str, word: &str) -> Vec<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .filter(|(i, _)| {
            !code[..*i].chars().next_back().is_some_and(part)
                && !code[i + word.len()..].chars().next().is_some_and(part)
        })
        .map(|(i, _)| i)
        .collect()
}

/// A function with a body: name, first line, number of lines.
pub(crate) fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let name: String = code[at + 2..]
            .trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        if name.is_empty() {
            continue; // a type, such as `fn(u32)`
        }
        if let Some(open) = body_start(code, at) {
            let (first, last) = (line_of(code, at), line_of(code, braces_end(code, open) - 1));
            found.push((name, first, last - first + 1));
        }
    }
    found
}

/// The brace that opens the body; nothing for a declaration.
fn body_start(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0;
    for (i, c) in code[at..].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(at + i),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The code without what is compiled for tests only.
pub(crate) fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(at) = out.find("#[cfg(test)]") {
        let end = match body_start(&out, at + "#[cfg(test)]".len()) {
            Some(open) => braces_end(&out, open),
            None => out[at..].find(';').map_or(out.len(), |i| at + i + 1),
        };
        let blank: String =
            out[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(at..end, &blank);
    }
    out
}

#[test]
fn comments_and_strings_are_not_code() {
    let text = "let a = \"fn x() {\"; // fn y() {\n/* { */ let c = '{'; let l: &'static str = r#\"\"}\"#;\n";
    let read = code(text);
    assert_eq!((read.len(), read.lines().count()), (text.len(), 2));
    assert!(!read.contains('{') && !read.contains('}') && read.contains("&'static str"));
}

#[test]
fn functions_are_measured_and_tests_left_out() {
    let text = "fn a() {\n  if x {\n  }\n}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\ntrait T { fn c(); }\n";
    let read = code(text);
    let names = |t: &str| functions(t).into_iter().map(|f| (f.0, f.2)).collect::<Vec<_>>();
    assert_eq!(names(&read), [("a".to_owned(), 4), ("b".to_owned(), 1)]);
    assert_eq!(names(&without_tests(&read)), [("a".to_owned(), 4)]);
}
