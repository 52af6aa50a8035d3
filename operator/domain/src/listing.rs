//! Lists of names in a sentence.
//!
//! Decides how many of them are shown, in the order given: a fleet never fills a message. Called by
//! all that names objects in a condition.

/// Joins the first names, `most` at most, with the number of the others: `a, b and 3 more`.
pub fn some_of<S: AsRef<str>>(names: impl IntoIterator<Item = S>, most: usize) -> String {
    let mut shown = String::new();
    let mut more = 0_usize;
    for (index, name) in names.into_iter().enumerate() {
        if index >= most {
            more += 1;
            continue;
        }
        if index > 0 {
            shown.push_str(", ");
        }
        shown.push_str(name.as_ref());
    }
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::some_of;

    #[test]
    fn the_first_names_are_shown_and_the_others_are_counted() {
        let names = ["a", "b", "c"];
        assert_eq!(some_of(names, 3), "a, b, c");
        assert_eq!(some_of(names, 2), "a, b and 1 more");
        assert_eq!(some_of([""; 0], 2), "");
    }
}
