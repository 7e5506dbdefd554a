//! The library of WGSL functions: a kernel's text gets those that it calls, and what they call.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

/// Functions and constants by name, from files in which each begins at the start of a line.
static LIBRARY: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| FILES.into_iter().flat_map(items).collect());

const FILES: [&str; 13] = [
    include_str!("prelude/convert.wgsl"),
    include_str!("prelude/convert_f64.wgsl"),
    include_str!("prelude/f32.wgsl"),
    include_str!("prelude/f32_elementary.wgsl"),
    include_str!("prelude/f32_special.wgsl"),
    include_str!("prelude/f64.wgsl"),
    include_str!("prelude/f64_elementary.wgsl"),
    include_str!("prelude/f64_special.wgsl"),
    include_str!("prelude/i32.wgsl"),
    include_str!("prelude/i64.wgsl"),
    include_str!("prelude/fold.wgsl"),
    include_str!("prelude/keys.wgsl"),
    include_str!("prelude/random.wgsl"),
];

fn items(file: &'static str) -> Vec<(&'static str, &'static str)> {
    let starts: Vec<usize> = std::iter::once(0)
        .chain(file.match_indices('\n').map(|(at, _)| at + 1))
        .filter(|&at| file[at..].starts_with("fn ") || file[at..].starts_with("const "))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([file.len()]);
    starts
        .iter()
        .zip(ends)
        .filter_map(|(&start, end)| {
            let text = &file[start..end];
            let name = words(text).nth(1)?;
            Some((name, text))
        })
        .collect()
}

/// The identifiers of a text, and its numbers.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|w| !w.is_empty())
}

/// The library's part that `text` needs.
pub(crate) fn link(text: &str) -> String {
    let mut needed = BTreeSet::new();
    let mut open: Vec<&str> = vec![text];
    while let Some(text) = open.pop() {
        for word in words(text) {
            if let Some((name, item)) = LIBRARY.get_key_value(word) {
                if needed.insert(*name) {
                    open.push(item);
                }
            }
        }
    }
    needed.iter().map(|name| LIBRARY[name]).collect()
}

#[cfg(test)]
mod tests {
    use super::{items, link, words, FILES, LIBRARY};
    use std::collections::HashSet;
    use wengert_ops::rows::{Class, Wgsl};
    use wengert_ops::Row;

    #[test]
    fn no_two_functions_have_one_name() {
        let mut seen = HashSet::new();
        for (name, _) in FILES.into_iter().flat_map(items) {
            assert!(seen.insert(name), "{name} stands twice");
        }
    }

    #[test]
    fn a_text_gets_what_it_calls_and_what_that_calls() {
        let linked = link("let y = i64_of_f32(x);");
        assert!(linked.contains("fn i64_of_f32(") && linked.contains("fn i64_negated("), "{linked}");
        assert!(!linked.contains("fn f16_to_f32("), "{linked}");
        assert_eq!(link("let y = x + 1.0;"), "");
    }

    #[test]
    fn every_row_finds_its_functions_in_every_type_it_is_computed_in() {
        for &row in Row::ALL {
            for num in [Wgsl::F32, Wgsl::F64, Wgsl::I32, Wgsl::I64] {
                let float = matches!(num, Wgsl::F32 | Wgsl::F64);
                let admitted = match row.info().class {
                    Class::Float => float,
                    Class::Bit => !float,
                    _ => true,
                };
                if !admitted {
                    continue;
                }
                let args = ["a", "b", "c", "d"];
                let mut texts = vec![row.expr().value.wgsl(num, &args, "y")];
                if float {
                    texts.extend(row.expr().partials.iter().map(|p| p.wgsl(num, &args, "y")));
                }
                for text in texts {
                    for name in words(&text).filter(|w| w.ends_with(&format!("_{}", num.suffix()))) {
                        assert!(LIBRARY.contains_key(name), "{}: {name}", row.name());
                    }
                }
            }
        }
    }
}
