//! The requirements on a new password: long enough, and not easily guessed
//! according to `zxcvbn`. There are no rules about digits and signs (NIST SP
//! 800-63B, 5.1.1.2).

use domain::{ErrorCode, Failure, Field, Message, Secret};

/// Fewest characters.
const MIN_CHARACTERS: usize = 10;
/// Most bytes. The hash accepts more, but no person types more.
pub(super) const MAX_BYTES: usize = 256;

fn weak(message: Message) -> Result<(), Failure> {
    let f = Failure::at(Field::Password, ErrorCode::PasswordWeak, message);
    Err(f)
}

/// Checks a new password's length, which costs nothing.
pub(crate) fn check_length(password: &Secret) -> Result<(), Failure> {
    let text = password.expose();
    if text.len() > MAX_BYTES {
        return weak(Message::PasswordTooLong);
    }
    if text.chars().count() < MIN_CHARACTERS {
        return weak(Message::PasswordTooShort);
    }
    Ok(())
}

/// Checks how easily the new password of a tenant named `name` is guessed.
/// Takes up to some milliseconds, so it must not run on the async threads.
pub(super) fn check_guessable(password: &Secret, name: &str) -> Result<(), Failure> {
    let text = password.expose();
    // The work of `zxcvbn` grows fast with the length; the beginning decides.
    let head: String = text.chars().take(64).collect();
    if zxcvbn::zxcvbn(&head, &[name, "maliknode"]).score() < zxcvbn::Score::Two {
        return weak(Message::PasswordGuessable);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &Secret, name: &str) -> Result<(), Failure> {
        check_length(password).and_then(|()| check_guessable(password, name))
    }

    #[test]
    fn short_and_common_passwords_are_weak() {
        for bad in [
            "",
            "short",
            "password123",
            "aaaaaaaaaaaa",
            "linalinalina",
            "1234567890",
            "qwertyuiop",
        ] {
            assert!(check(&Secret::new(bad), "lina").is_err(), "{bad}");
        }
        assert!(check(&Secret::new("x".repeat(257)), "lina").is_err());
        for good in [
            "correct horse battery",
            "Straße über den Fluss",
            "k7#mQz!x2pLw",
            "书房里的一只大猫在睡觉啊",
        ] {
            assert!(check(&Secret::new(good), "lina").is_ok(), "{good}");
        }
    }
}
