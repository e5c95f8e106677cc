//! One form for all that asks for passwords and codes: the second step of a sign-in,
//! a new password, a proof of presence. What was typed into it is never in an address.

use crate::{
    forms::{Form, Refusal},
    ui::{
        Field as FormField, NewPasswordInput, Note, PasswordInput, PasswordKind, Submit, TopError,
    },
};
use domain::Field;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// An input of an [`AccountForm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// The account's name.
    Name,
    /// A mail address.
    Mail,
    /// The present password.
    Password,
    /// A new password, with its strength.
    NewPassword,
    /// A code of an authenticator app.
    Code,
    /// A code of an authenticator app or a recovery code.
    AnyCode,
    /// A recovery code.
    RecoveryCode,
}

impl Input {
    /// Returns the field that a failure names.
    const fn field(self) -> Field {
        match self {
            Self::Name => Field::Name,
            Self::Mail => Field::Mail,
            Self::Password => Field::Password,
            Self::NewPassword => Field::NewPassword,
            Self::Code | Self::AnyCode | Self::RecoveryCode => Field::Code,
        }
    }
}

/// A form that asks for passwords and codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormContent {
    /// The address of the server function.
    pub action: String,
    /// The inputs with their labels.
    pub inputs: Vec<(Input, String)>,
    /// Fields that are sent along.
    pub hidden: Vec<(String, String)>,
    /// The text of the button.
    pub submit: String,
    /// The button's text while it waits.
    pub waiting: String,
    /// Whether the button destroys something.
    pub is_danger: bool,
    /// The account's name, or a mail address: as typed, or for password managers.
    pub name: String,
}

/// Renders a [`FormContent`].
#[island]
pub fn AccountForm(
    asked: FormContent,
    /// What was refused, after a plain POST.
    failure: Option<Refusal>,
) -> impl IntoView {
    let form = Form::new(failure);
    let fields: Vec<Field> = asked.inputs.iter().map(|(i, _)| i.field()).collect();
    // Where a form has one password only, a failure of either is about that one.
    let has_password = fields.contains(&Field::Password);
    // An address that was typed is no name.
    let asks_name = fields.contains(&Field::Name) || fields.contains(&Field::Mail);
    let belongs = {
        let fields = fields.clone();
        move |at: Field| {
            fields.contains(&at) || (at == Field::Password && fields.contains(&Field::NewPassword))
        }
    };
    let on_top = form.outside(belongs);
    let username = (!asks_name && !asked.name.is_empty()).then(|| {
        // For password managers, which store a password with its name.
        view! {
            <input
                type="text"
                name="name"
                value=asked.name.clone()
                autocomplete="username"
                class="hidden"
                readonly
            />
        }
    });
    let name = asked.name;
    let inputs = asked.inputs.into_iter().map(|(input, label)| {
        let error = match input.field() {
            Field::NewPassword if !has_password => {
                form.at_any(&[Field::NewPassword, Field::Password])
            }
            field => form.at(field),
        };
        match input {
            Input::NewPassword => {
                view! { <NewPasswordInput id="new_password" label=label refused=error/> }.into_any()
            }
            Input::Name => text_input("name", label, name.clone(), error),
            Input::Mail => mail_input(label, name.clone(), error),
            Input::Password => password_input(label, error),
            code => code_input(code, label, error),
        }
    });
    let inputs = inputs.collect_view();
    let hidden = asked.hidden.into_iter();
    let hidden = hidden.map(|(name, value)| view! { <input type="hidden" name=name value=value/> });
    let hidden = hidden.collect_view();
    let class = if asked.is_danger {
        "btn btn-pd"
    } else {
        "btn btn-p"
    };
    view! {
        <form
            class="grid gap-4"
            method="post"
            action=asked.action
            on:submit=move |event| form.submit(event)
        >
            <TopError message=on_top/>
            {username}
            {hidden}
            {inputs}
            <div>
                <Submit busy=form.busy class=class text=asked.submit waiting=asked.waiting/>
            </div>
        </form>
    }
}

fn text_input(
    id: &'static str,
    label: String,
    value: String,
    error: Signal<Option<String>>,
) -> AnyView {
    view! {
        <FormField
            id=id
            label=label
            note=Signal::derive(move || Note::or_hint(error.get(), ""))
        >
            <input
                id=id
                class="field"
                type="text"
                name=id
                value=value
                autocomplete="username"
                autocapitalize="none"
                spellcheck="false"
                dir="ltr"
                required
                maxlength="64"
                aria-describedby=format!("{id}-note")
                aria-invalid=move || error.get().is_some().to_string()
            />
        </FormField>
    }
    .into_any()
}

fn mail_input(label: String, value: String, error: Signal<Option<String>>) -> AnyView {
    view! {
        <FormField
            id="mail"
            label=label
            note=Signal::derive(move || Note::or_hint(error.get(), ""))
        >
            <input
                id="mail"
                class="field"
                type="email"
                name="mail"
                value=value
                autocomplete="email"
                autocapitalize="none"
                spellcheck="false"
                dir="ltr"
                required
                maxlength="254"
                aria-describedby="mail-note"
                aria-invalid=move || error.get().is_some().to_string()
            />
        </FormField>
    }
    .into_any()
}

fn password_input(label: String, error: Signal<Option<String>>) -> AnyView {
    view! {
        <FormField
            id="password"
            label=label
            note=Signal::derive(move || Note::or_hint(error.get(), ""))
        >
            <PasswordInput
                id="password"
                kind=PasswordKind::Present
                max="512"
                is_bad=Signal::derive(move || error.get().is_some())
            />
        </FormField>
    }
    .into_any()
}

fn code_input(input: Input, label: String, error: Signal<Option<String>>) -> AnyView {
    let is_numeric = input == Input::Code;
    let (hint, length, mode, complete) = match input {
        Input::Code => ("Six digits.", "16", "numeric", "one-time-code"),
        Input::AnyCode => (
            "From your authenticator app, or a recovery code.",
            "32",
            "text",
            "one-time-code",
        ),
        _ => (
            "It works once. Write down that it is used.",
            "32",
            "text",
            "off",
        ),
    };
    view! {
        <FormField
            id="code"
            label=label
            note=Signal::derive(move || Note::or_hint(error.get(), hint))
        >
            <input
                id="code"
                class=if is_numeric { "field field-lg code" } else { "field mono" }
                type="text"
                name="code"
                inputmode=mode
                autocomplete=complete
                autocapitalize="none"
                spellcheck="false"
                dir="ltr"
                required
                maxlength=length
                aria-describedby="code-note"
                aria-invalid=move || error.get().is_some().to_string()
            />
        </FormField>
    }
    .into_any()
}
