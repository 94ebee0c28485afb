//! Go's text and numbers: each line as Go's `strconv` answers it.

use super::*;

#[test]
fn text_is_quoted_as_go_quotes_it() {
    for (text, quoted) in [
        ("a\"\\", r#""a\"\\""#),
        ("\u{7}\u{8}\u{b}\u{c}\n\r\t", r#""\a\b\v\f\n\r\t""#),
        ("\0\u{1f} \u{7f}", r#""\x00\x1f \x7f""#),
        ("\u{80}\u{9f}\u{ad}\u{200b}\u{200f}", r#""\u0080\u009f\u00ad\u200b\u200f""#),
        ("\u{2028}\u{202e}", r#""\u2028\u202e""#),
        ("é€", "\"é€\""),
    ] {
        assert_eq!(quote(text), quoted);
    }
}

#[test]
fn escapes_are_read_as_go_reads_them() {
    for (text, read) in [
        (r"\a\b\f\n\r\t\v\\", Some("\u{7}\u{8}\u{c}\n\r\t\u{b}\\")),
        (r"\x41\x7a", Some("Az")),
        (r"\101\060", Some("A0")),
        (r"\u00e9\U0001F600", Some("é😀")),
        (r"\xc3\xa9", Some("é")),
        ("é'", Some("é'")),
        (r"\x4", None),
        (r"\400", None),
        (r"\777", None),
        (r"\18", None),
        (r"\8", None),
        (r"\u12", None),
        (r"\UFFFFFFFF", None),
        (r"\ud800", None),
        (r"\q", None),
        (r"\'", None),
        (r"\", None),
        ("a\nb", None),
    ] {
        assert_eq!(unquoted(text).ok().as_deref(), read, "{text}");
    }
    assert_eq!(unquoted(r"\xff"), Err("the escapes make no UTF-8 text"), "Go keeps it");
    assert_eq!(raw("a\r\n\\b"), "a\n\\b");
}

#[test]
fn numbers_are_read_as_go_reads_them() {
    for (text, number) in [
        ("0", 0),
        ("-0", 0),
        ("+7", 7),
        ("-7", -7),
        ("0x1F", 31),
        ("0X1f", 31),
        ("0b101", 5),
        ("0B11", 3),
        ("0o17", 15),
        ("0O17", 15),
        ("017", 15),
        ("1_000", 1000),
        ("0x_1f", 31),
        ("0_7", 7),
        ("0b_1", 1),
        ("0B_1", 1),
        ("0o_7", 7),
        ("0xf_f", 255),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
    ] {
        assert_eq!(int(text), Ok(number), "{text}");
    }
    for text in [
        "08", "0x", "0b", "0o", "0b2", "0o8", "0xg", "_1", "1_", "1__0", "0x1_", "", "-", "+", "--1", "1.0",
        "0_", "0xf__f", "é",
    ] {
        let wrong = format!("strconv.ParseInt: parsing \"{text}\": invalid syntax");
        assert_eq!(int(text), Err(wrong), "{text}");
    }
    for text in ["-9223372036854775809", "9223372036854775808", "18446744073709551616"] {
        let wrong = format!("strconv.ParseInt: parsing \"{text}\": value out of range");
        assert_eq!(int(text), Err(wrong), "{text}");
    }
}

#[test]
fn numbers_without_a_sign_have_a_bound() {
    for (text, most, number) in [("0", 255, 0), ("255", 255, 255), ("0xff", 255, 255), ("256", u64::MAX, 256)]
    {
        assert_eq!(uint(text, most), Ok(number), "{text}");
    }
    assert_eq!(uint("18446744073709551615", u64::MAX), Ok(u64::MAX));
    let wrong = |text: &str, what: &str| Err(format!("strconv.ParseUint: parsing \"{text}\": {what}"));
    for text in ["256", "0x100", "18446744073709551616"] {
        assert_eq!(uint(text, 255), wrong(text, "value out of range"), "{text}");
    }
    for text in ["-1", "+1", "x"] {
        assert_eq!(uint(text, 255), wrong(text, "invalid syntax"), "{text}");
    }
}

#[test]
fn truth_is_read_as_go_reads_it() {
    for text in ["1", "t", "T", "TRUE", "true", "True"] {
        assert_eq!(truth(text), Ok(true), "{text}");
    }
    for text in ["0", "f", "F", "FALSE", "false", "False"] {
        assert_eq!(truth(text), Ok(false), "{text}");
    }
    for text in ["", "tRUE", "yes", "2"] {
        assert_eq!(truth(text), Err(format!("strconv.ParseBool: parsing \"{text}\": invalid syntax")));
    }
}
