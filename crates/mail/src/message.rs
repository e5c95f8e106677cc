//! A mail as text: plain and HTML, both of the same messages. Everything in the HTML is escaped.

use crate::server::Sender;
use control::{DeliveryError, OutgoingMail};
use domain::Message;
use lettre::{
    Address,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use texts::Texts;

/// The words of a mail.
struct Words {
    subject: String,
    before: Vec<String>,
    link: Option<String>,
    after: Vec<String>,
    footer: String,
}

impl Words {
    fn of(mail: &OutgoingMail, texts: &Texts) -> Self {
        let messages = mail.content.messages(&mail.name);
        let render = |messages: Vec<Message>| {
            let rendered = messages.iter().map(|message| texts.message(message));
            rendered.collect::<Vec<_>>()
        };
        let host = mail.host.clone();
        Self {
            subject: in_one_line(&texts.message(&messages.subject)),
            before: render(messages.before),
            link: mail.link.as_ref().map(|link| link.expose().to_owned()),
            after: render(messages.after),
            footer: texts.message(&Message::MailFooter { host }),
        }
    }

    fn plain(&self) -> String {
        let parts = self.before.iter().chain(&self.link).chain(&self.after);
        let mut text = parts
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\r\n\r\n");
        // The mark that mail programs know a signature by (RFC 3676, 4.3).
        text.push_str("\r\n\r\n-- \r\n");
        text.push_str(&self.footer);
        text.push_str("\r\n");
        text
    }

    fn html(&self, language: &str) -> String {
        let paragraph = |text: &String| format!("<p>{}</p>\n", escaped(text));
        let link = self.link.iter().map(|url| {
            let url = escaped(url);
            format!("<p><a href=\"{url}\">{url}</a></p>\n")
        });
        let body: String = self
            .before
            .iter()
            .map(paragraph)
            .chain(link)
            .chain(self.after.iter().map(paragraph))
            .collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><title>{}</title></head>\n\
             <body>\n{body}<p><small>{}</small></p>\n</body></html>\n",
            escaped(language),
            escaped(&self.subject),
            escaped(&self.footer)
        )
    }
}

/// Escapes a text for HTML, in an element and in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

/// Returns a text without line breaks and other control characters, for a header.
fn in_one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

/// Makes the message.
///
/// # Errors
/// Permanent: a part of it cannot be in a message.
pub(crate) fn build(
    mail: &OutgoingMail,
    sender: &Sender,
    texts: &Texts,
) -> Result<lettre::Message, DeliveryError> {
    let unusable = |e: &dyn std::fmt::Display| DeliveryError::Permanent(e.to_string());
    let address = |a: &domain::MailAddress| a.as_str().parse::<Address>().map_err(|e| unusable(&e));
    let words = Words::of(mail, texts);
    let language = texts.language().to_string();
    let body = MultiPart::alternative_plain_html(words.plain(), words.html(&language));
    // No automatic answer is sent to it (RFC 3834, 5).
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let automatic = HeaderValue::new(automatic, "auto-generated".to_owned());
    lettre::Message::builder()
        .from(Mailbox::new(sender.name.clone(), address(&sender.address)?))
        .to(Mailbox::new(None, address(&mail.recipient)?))
        .subject(words.subject)
        .message_id(Some(format!("<{}>", mail.message_id)))
        .date_now()
        .raw_header(automatic)
        .multipart(body)
        .map_err(|e| unusable(&e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{MailAddress, MailContent, Secret};

    fn mail(name: &str, content: MailContent) -> OutgoingMail {
        OutgoingMail {
            message_id: "17.5@vpn.example.org".to_owned(),
            recipient: MailAddress::parse("lina@example.org").unwrap(),
            content,
            name: name.to_owned(),
            link: Some(Secret::new(
                "https://lina.vpn.example.org/reset?token=a&b=\"'<",
            )),
            host: "vpn.example.org".to_owned(),
        }
    }

    fn text(mail: &OutgoingMail) -> String {
        let sender = Sender::parse("Zoë’s VPN <vpn@example.org>").unwrap();
        let message = build(mail, &sender, texts::english()).unwrap();
        String::from_utf8(message.formatted()).unwrap()
    }

    #[test]
    fn a_mail_has_its_headers_and_both_texts() {
        let text = text(&mail("lina", MailContent::Reset));
        let (headers, body) = text.split_once("\r\n\r\n").unwrap();
        for header in [
            "To: lina@example.org",
            "Subject: A new password for lina",
            "Message-ID: <17.5@vpn.example.org>",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(headers.lines().any(|l| l == header), "{header}: {headers}");
        }
        assert!(headers.contains("<vpn@example.org>"), "{headers}");
        assert!(body.contains("text/plain") && body.contains("text/html"));
    }

    #[test]
    fn no_text_adds_a_header_or_an_element() {
        let client = "<img src=x onerror=alert(1)>\r\nBcc: all@example.org".to_owned();
        let content = MailContent::SignIn {
            client,
            origin: "\"'&".to_owned(),
        };
        let mail = mail("li\r\nBcc: all@example.org\r\n\r\nna", content);
        let words = Words::of(&mail, texts::english());
        assert!(!words.subject.contains(['\r', '\n']));
        let html = words.html("en");
        assert!(!html.contains("<img") && html.contains("&lt;img"), "{html}");
        assert!(html.contains("&amp;b=&quot;&#39;&lt;"), "{html}");
        let text = text(&mail);
        let (headers, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!headers.lines().any(|l| l.starts_with("Bcc")), "{headers}");
        assert_eq!(headers.matches("\r\nTo:").count(), 1);
    }

    #[test]
    fn other_letters_are_encoded() {
        let text = text(&mail("łąka-家", MailContent::QuotaReached));
        assert!(text.is_ascii(), "{text}");
    }
}
