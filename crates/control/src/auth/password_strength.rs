//! The requirements on a new password: long enough, and not easily guessed
//! according to `zxcvbn`, which knows 30,000 common passwords. There are no rules
//! about digits and signs (NIST SP 800-63B, 5.1.1.2; OWASP ASVS 4.0.3, 2.1).

use domain::{ErrorCode, Failure, Field, Message, Secret};

/// Fewest characters (ASVS 2.1.1).
const MIN_CHARACTERS: usize = 12;
/// Most characters (ASVS 2.1.2).
const MAX_CHARACTERS: usize = 128;
/// Most bytes of a password that is checked at a sign-in: the most characters of four bytes each.
pub(crate) const MAX_BYTES: usize = 4 * MAX_CHARACTERS;

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
    match text.chars().count() {
        ..MIN_CHARACTERS => weak(Message::PasswordTooShort),
        MIN_CHARACTERS..=MAX_CHARACTERS => Ok(()),
        _ => weak(Message::PasswordTooLong),
    }
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
            "123456789012",
            "qwertyuiop12",
        ] {
            assert!(check(&Secret::new(bad), "lina").is_err(), "{bad}");
        }
        for (length, is_long_enough) in [(11, false), (12, true), (128, true), (129, false)] {
            let password = Secret::new(
                "書k7#mQz!x2pL"
                    .repeat(11)
                    .chars()
                    .take(length)
                    .collect::<String>(),
            );
            assert_eq!(check(&password, "lina").is_ok(), is_long_enough, "{length}");
        }
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
