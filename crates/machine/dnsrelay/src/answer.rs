//! The answer that the relay gives itself: that a question is refused (RFC 1035, 4.1.1). A
//! device then asks its other resolver at once and does not wait.

/// The least and the greatest length of a question by UDP that is answered: its header, and
/// more than any question has.
const LENGTHS: std::ops::RangeInclusive<usize> = 12..=512;

/// Returns the refusal of a question, or `None` where it is none: an answer, or no message.
pub(crate) fn refusal(question: &[u8]) -> Option<Vec<u8>> {
    const IS_ANSWER: u8 = 0x80;
    const RECURSION_DESIRED_AND_OPCODE: u8 = 0x79;
    const REFUSED: u8 = 5;
    if !LENGTHS.contains(&question.len()) || question[2] & IS_ANSWER != 0 {
        return None;
    }
    let mut answer = question.to_vec();
    answer[2] = IS_ANSWER | (question[2] & RECURSION_DESIRED_AND_OPCODE);
    answer[3] = REFUSED;
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_refused_with_its_own_number_and_name() {
        // RFC 1035: id, flags with RD, one question: "a." A IN.
        let question = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
        let answer = refusal(question).unwrap();
        assert_eq!(answer[..2], question[..2]);
        assert_eq!(answer[2..4], [0x81, 0x05], "an answer, RD, REFUSED");
        assert_eq!(answer[4..], question[4..]);
    }

    #[test]
    fn what_is_no_question_gets_no_answer() {
        assert_eq!(refusal(b"short"), None);
        assert_eq!(refusal(&[0; 513]), None);
        let answer = refusal(&[0; 12]).unwrap();
        assert_eq!(refusal(&answer), None, "two relays answer each other once");
    }
}
