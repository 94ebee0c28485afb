//! What answers and errors say of their instance.

use super::*;

#[test]
fn a_code_says_whether_the_instance_failed() {
    let all = (0..=16).map(Code::from_i32);
    let blamed: Vec<_> = all.filter_map(|code| Some((code, kind_of_code(code)?))).collect();
    assert_eq!(
        blamed,
        [
            (Code::DeadlineExceeded, FailureKind::Timeout),
            (Code::ResourceExhausted, FailureKind::Overloaded),
            (Code::Internal, FailureKind::Answer),
            (Code::Unavailable, FailureKind::Answer),
        ]
    );
}

#[test]
fn grpcs_status_goes_before_https() {
    let mut answer: Response<Body> = Status::resource_exhausted("busy").into_http();
    assert_eq!(kind_of(&answer), Some(FailureKind::Overloaded));
    *answer.status_mut() = http::StatusCode::BAD_GATEWAY;
    assert_eq!(kind_of(&answer), Some(FailureKind::Overloaded));
    answer.headers_mut().clear();
    assert_eq!(kind_of(&answer), Some(FailureKind::Answer));
}
