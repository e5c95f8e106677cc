//! What a new password must be: long enough, and not easily guessed, as
//! `zxcvbn` judges it. No rules about digits and signs (NIST SP 800-63B, 5.1.1.2).

use domain::{ErrorCode, Failure, Field, Secret};

/// Fewest characters.
pub(crate) const MIN: usize = 10;
/// Most bytes: the hash would take more, but nobody types more.
pub(crate) const MAX: usize = 256;

fn weak(sentence: &str) -> Result<(), Failure> {
    let f = Failure::at(Field::Password, ErrorCode::PasswordWeak, sentence);
    Err(f)
}

/// Checks a new password's length, which costs nothing.
pub(crate) fn check_length(password: &Secret) -> Result<(), Failure> {
    let text = password.expose();
    if text.len() > MAX {
        return weak("That password is too long: 256 characters at most.");
    }
    if text.chars().count() < MIN {
        return weak("Use 10 characters or more. Four random words are good.");
    }
    Ok(())
}

/// Checks how easily a new password of somebody named `name` is guessed. Takes
/// up to some milliseconds: not for the async threads.
pub(crate) fn check_guessable(password: &Secret, name: &str) -> Result<(), Failure> {
    let text = password.expose();
    // The judge's work grows fast with the length; the beginning decides.
    let head: String = text.chars().take(64).collect();
    if zxcvbn::zxcvbn(&head, &[name, "maliknode"]).score() < zxcvbn::Score::Two {
        return weak("That password is easily guessed. Four random words are good.");
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
    fn short_common_and_own_names_are_weak() {
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
