// Forms that a passkey answers (app/src/account/passkey_form.rs). Without it, and in a browser that has no passkeys, the
// page says so and offers the other ways. The form's options come from the server at each press, because a challenge
// works once; the answer is sent as a plain form.
(function () {
  function bytes(text) {
    var plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, function (c) { return c.charCodeAt(0); });
  }
  function text(buffer) {
    if (!buffer) return null;
    var plain = String.fromCharCode.apply(null, new Uint8Array(buffer));
    return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }
  function decoded(list) {
    return (list || []).map(function (c) { return { type: c.type, id: bytes(c.id) }; });
  }
  // What PublicKeyCredential.toJSON() gives where a browser has it.
  function answer(credential) {
    var r = credential.response;
    return JSON.stringify({
      id: credential.id,
      type: credential.type,
      response: {
        clientDataJSON: text(r.clientDataJSON),
        authenticatorData: text(r.authenticatorData || r.getAuthenticatorData()),
        signature: text(r.signature),
        userHandle: text(r.userHandle),
      },
    });
  }
  function ask(form, options) {
    options.challenge = bytes(options.challenge);
    if (form.dataset.ceremony === "register") {
      options.user.id = bytes(options.user.id);
      options.excludeCredentials = decoded(options.excludeCredentials);
      return navigator.credentials.create({ publicKey: options });
    }
    options.allowCredentials = decoded(options.allowCredentials);
    return navigator.credentials.get({ publicKey: options });
  }
  function message(error) {
    if (error && error.name === "NotAllowedError") return "The browser gave no passkey, or it took too long. Try again.";
    if (error && error.name === "InvalidStateError") return "That passkey is on this account already.";
    if (error && error.name === "SecurityError") return "Passkeys need an address with https.";
    return (error && error.message) || "The passkey did not work. Try again.";
  }
  function options(form) {
    var headers = { Accept: "application/json", "Content-Type": "application/x-www-form-urlencoded" };
    return fetch("/do/passkey_options", { method: "POST", headers: headers, body: "ceremony=" + form.dataset.ceremony }).then(function (r) {
      return r.json().then(function (body) {
        if (!r.ok) throw new Error(body.message);
        return JSON.parse(body);
      });
    });
  }
  document.querySelectorAll("form[data-ceremony]").forEach(function (form) {
    if (!window.PublicKeyCredential || !navigator.credentials) return;
    var button = form.querySelector("button"), status = form.querySelector("[role=alert]");
    form.querySelector("[data-without]").hidden = true;
    form.querySelector("[data-with]").hidden = false;
    form.addEventListener("submit", function (event) {
      event.preventDefault();
      button.disabled = true;
      status.hidden = true;
      options(form).then(function (o) { return ask(form, o); }).then(function (credential) {
        form.querySelector("[name=answer]").value = answer(credential);
        form.submit();
      }).catch(function (error) {
        status.textContent = message(error);
        status.hidden = false;
        button.disabled = false;
        button.focus();
      });
    });
  });
})();
