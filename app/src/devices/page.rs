//! The devices' pages. Another tenant's device and a device that does not exist
//! have the same answer: 404.

use super::{
    AddForm, ChangeForm, CopyConfig, DeviceInput, FirstHandshake, LiveDevices, ReturnPage,
    choices::Choice,
    confirm,
    endpoints::DELETE_DEVICE,
    guide::Guide,
    lock_note::lock_note,
    locked::LockedCode,
    qr::{LONG_BYTES, QrPicture},
    steps::Platform,
};
use crate::{
    context, forms,
    loader::load,
    ui::{Glyph, Icon, NavItem, PageHead, PageShell, RelativeTime, TopError, format},
};
use domain::{DeviceId, ErrorCode, Failure, TenantReadScope, view::DeviceView};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

/// Returns `control` and the tenant's permission. It is called before anything is
/// awaited.
fn ready() -> Result<(control::Control, TenantReadScope), Failure> {
    Ok((context::control()?, context::tenant_view()?))
}

/// Returns the id of the device in the address. An id that is not a number is not
/// found.
fn requested_device() -> Result<DeviceId, Failure> {
    use_params_map()
        .get_untracked()
        .get("id")
        .and_then(|id| id.parse().ok())
        .ok_or_else(Failure::not_found)
}

/// `/devices`: the table.
#[component]
pub fn DevicesPage() -> impl IntoView {
    let texts = context::texts();
    let ready = ready();
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    load(async move {
        let (control, scope) = ready?;
        let view = control.tenants().network(&scope).await?;
        let view = view.map_problems(|p| texts.tenant_problem(&p));
        Ok::<_, Failure>(view! {
            <PageShell current=NavItem::Devices who=view.name.clone() title="Devices">
                <LiveDevices initial=view failure=failure/>
            </PageShell>
        })
    })
}

/// `/devices/new`.
#[component]
pub fn NewDevicePage() -> impl IntoView {
    let texts = context::texts();
    let ready = ready();
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    let input = DeviceInput::default().with_query(|key| query.get(key));
    load(async move {
        let (control, scope) = ready?;
        let view = control.tenants().network(&scope).await?;
        let view = view.map_problems(|p| texts.tenant_problem(&p));
        let (count, limit) = (view.devices.len(), usize::from(view.plan.devices));
        let full = (count >= limit).then(|| {
            view! {
                <p class="banner banner-warn" role="status">
                    <Icon glyph=Glyph::Alert/>
                    {format!(
                        "Your plan has room for {limit} devices, and you have as many. \
                         Delete one to make room.",
                    )}
                </p>
            }
        });
        Ok::<_, Failure>(view! {
            <PageShell current=NavItem::Devices who=view.name.clone() title="Add a device">
                <BackToDevices/>
                <PageHead title="Add a device">
                    <span class="chip">{format!("{count} of {limit}")}</span>
                </PageHead>
                {full}
                <div class="card max-w-[620px] p-[22px] max-md:p-4">
                    <AddForm input=input failure=failure/>
                </div>
            </PageShell>
        })
    })
}

/// `/devices/:id`: the device's code and file, instructions and settings.
#[component]
pub fn DevicePage() -> impl IntoView {
    let texts = context::texts();
    let ready = ready().and_then(|(control, scope)| Ok((control, scope, requested_device()?)));
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    let new = query.get("new").is_some();
    let saved = query.get("saved").filter(|_| failure.is_none());
    let new_key = query.get("key").filter(|_| failure.is_none());
    let system = context::RequestContext::with(|context| context.client.system());
    let here = system.ok().and_then(Platform::of_system);
    // An operator who looks in has none here.
    let account = context::account().ok();
    let permission = context::permission();
    load(async move {
        let (control, scope, id) = ready?;
        let view = control.devices().page(&scope, id).await?;
        let view = view.map_problems(|p| texts.tenant_problem(&p));
        let presence = match &account {
            Some(account) => control.account().presence_if_any(account).await?,
            None => None,
        };
        let config = match permission?.holder() {
            Ok(holder) => match control.devices().config(holder, id, presence).await {
                Ok(config) => Some(config.render().to_string()),
                Err(f) if f.code == ErrorCode::PresenceNeeded => None,
                Err(f) => return Err(f),
            },
            // Who looks in sees no key.
            Err(_) => None,
        };
        let (device, now) = (view.device.clone(), view.now);
        let input = DeviceInput {
            label: device.label.clone(),
            routing: device.routing,
            policy: device.policy,
            mesh: device.mesh,
            options: device.options,
        };
        let input = match failure {
            Some(_) => input.with_query(|key| query.get(key)),
            None => input,
        };
        let (label, address, routing) = (
            device.label.clone(),
            device.address.clone(),
            device.routing.title(),
        );
        let stem = device.file_stem();
        let notice = if new {
            Some("It is on your network as soon as it scans this code.")
        } else if let Some(when) = new_key {
            Some(match when.as_str() {
                "later" => "The device has a new key. The server has not applied it yet.",
                _ => "The device has a new key. It is off until it scans this code.",
            })
        } else {
            saved.map(|when| match when.as_str() {
                "file" => {
                    "Saved. Download the file again, or scan the code again, and replace what is on \
                     the device: until then it works as before. Its key stays the same."
                }
                "later" => "Saved. The server has not applied it yet.",
                _ => "Saved. It takes effect at once; no new code is needed.",
            })
        };
        let code = match config {
            Some(config) => {
                let is_on_phone = here.is_some_and(|here| here.is_phone);
                view! { <Code id=id config=config label=label.clone() is_on_phone=is_on_phone/> }
                    .into_any()
            }
            None => {
                let security = match &account {
                    Some(account) => Some(control.account().security(account).await?),
                    None => None,
                };
                view! { <LockedCode id=id security=security/> }.into_any()
            }
        };
        Ok::<_, Failure>(view! {
            <PageShell
                current=NavItem::Devices
                who=scope.name().as_str().to_owned()
                title=label.clone()
            >
                <BackToDevices/>
                <PageHead title=label.clone()>
                    <span class="chip mono">{address}</span>
                    <span class="chip">{routing}</span>
                    {new.then(|| view! { <a class="btn btn-p ms-auto" href="/">"Done"</a> })}
                </PageHead>
                {notice
                    .map(|text| {
                        view! {
                            <p class="banner" role="status">
                                <span class="text-live"><Icon glyph=Glyph::Check/></span>
                                {text}
                            </p>
                        }
                    })}
                <section class="card" aria-labelledby="connect-title">
                    <div class="hd border-b border-line">
                        <h2 id="connect-title">"Connect it"</h2>
                    </div>
                    <div class="flex flex-wrap gap-[26px] p-[22px] max-md:p-4">
                        {code}
                        <div class="grid min-w-[min(280px,100%)] flex-1 content-start gap-4">
                            <Guide here=here stem=stem/>
                            <FirstHandshake initial=view/>
                        </div>
                    </div>
                </section>
                <div class="two">
                    <section class="card" aria-labelledby="settings-title">
                        <div class="hd">
                            <h2 id="settings-title">"Settings"</h2>
                        </div>
                        <div class="px-[18px] pb-[18px]">
                            <ChangeForm id=id input=input failure=failure/>
                        </div>
                    </section>
                    <Facts device=device now=now/>
                </div>
            </PageShell>
        })
    })
}

/// A configuration as code, file and text.
#[component]
fn Code(
    id: DeviceId,
    config: String,
    label: String,
    /// Whether the page is on a phone, whose camera cannot see its own screen: the file
    /// is first there.
    is_on_phone: bool,
) -> impl IntoView {
    let buttons = match is_on_phone {
        true => "row order-first justify-center",
        false => "row justify-center",
    };
    let width = match config.len() > LONG_BYTES {
        true => "w-[420px]",
        false => "w-[280px]",
    };
    let code_label = format!("QR code of the configuration of {label}");
    view! {
        <div class=format!("grid {width} max-w-full justify-items-center gap-3 max-md:mx-auto")>
            <QrPicture
                text=config.clone()
                label=code_label
                otherwise="Too long for a code. Use the file."
            />
            <div class=buttons>
                <a class="btn" href=format!("/devices/{id}/config") download="">
                    <Icon glyph=Glyph::Download class="icon-s"/>
                    "Download .conf"
                </a>
                <CopyConfig target="config".to_owned() holds="the key".to_owned()/>
            </div>
            <details class="w-full">
                <summary class="s">"Show it as text"</summary>
                <pre
                    id="config"
                    class="mono mt-2 max-w-full overflow-x-auto rounded-s bg-sunken p-3 text-start text-[11px]"
                    dir="ltr"
                    tabindex="0"
                    aria-label="Configuration"
                >
                    {config}
                </pre>
            </details>
            <p class="xs text-center">
                "Anyone with this code can use your network as this device. Use it once, on this device only."
            </p>
        </div>
    }
}

/// The facts about a device.
#[component]
fn Facts(device: DeviceView, now: domain::Timestamp) -> impl IntoView {
    let row = |name: &'static str, value: AnyView| {
        view! {
            <div class="grid grid-cols-[110px_minmax(0,1fr)] gap-2 border-t border-line px-[18px] py-2">
                <dt class="s">{name}</dt>
                <dd class="num wrap-anywhere">{value}</dd>
            </div>
        }
    };
    let endpoint = device.endpoint.unwrap_or_else(|| "not seen yet".to_owned());
    let traffic = format!(
        "{} down, {} up",
        format::bytes(device.down_bytes),
        format::bytes(device.up_bytes)
    );
    let ipv6 = match (device.ipv6, device.options.ipv4_only) {
        (Some(address), _) => format!(
            "{address}. A configuration from before MalikNode had IPv6 lacks it: download it again."
        ),
        (None, true) => "None: it is set to IPv4 only.".to_owned(),
        (None, false) => "None".to_owned(),
    };
    let key = view! { <code>{device.public_key}</code> };
    let name = view! {
        <code>{device.host_name}</code>
        " Other devices of your mesh reach it by this name. It follows the label."
    };
    view! {
        <section class="card" aria-labelledby="facts-title">
            <div class="hd">
                <h2 id="facts-title">"What we see"</h2>
            </div>
            <dl>
                {row("Name", name.into_any())}
                {row("Address", device.address.into_any())}
                {row("IPv6 address", ipv6.into_any())}
                {row("Comes from", endpoint.into_any())}
                {row("In all", traffic.into_any())}
                {row(
                    "Added",
                    view! { <RelativeTime at=device.created_at now=now/> }.into_any(),
                )}
                {row("Routes", device.routing.meaning().into_any())}
                {row("DNS lock", lock_note(device.policy, device.routing).into_any())}
                {row("Public key", key.into_any())}
            </dl>
        </section>
    }
}

/// `/devices/:id/delete`: confirms the deletion.
#[component]
pub fn DeleteDevicePage() -> impl IntoView {
    let ready = ready().and_then(|(control, scope)| Ok((control, scope, requested_device()?)));
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key)).map(|f| f.message);
    load(async move {
        let (control, scope, id) = ready?;
        let device = control.devices().get(&scope, id).await?;
        let title = format!("Delete {}?", device.label);
        Ok::<_, Failure>(view! {
            <PageShell
                current=NavItem::Devices
                who=scope.name().as_str().to_owned()
                title=title.clone()
            >
                <BackToDevices/>
                <div class="card grid max-w-[520px] gap-3 p-[22px]">
                    <h1>"Delete " <bdi>{device.label.clone()}</bdi> "?"</h1>
                    <p class="s">
                        {format!("{}. ", device.address)} {confirm::EXPLANATION}
                    </p>
                    <TopError message=Signal::stored(failure)/>
                    <form
                        class="row"
                        method="post"
                        action=DELETE_DEVICE
                    >
                        <input type="hidden" name="id" value=id.to_string()/>
                        <input type="hidden" name="back" value=ReturnPage::Devices.as_str()/>
                        <button class="btn btn-pd">"Delete it"</button>
                        <a class="btn" href=format!("/devices/{id}")>"Keep it"</a>
                    </form>
                </div>
            </PageShell>
        })
    })
}

/// The link to the list of devices, above a device's page.
#[component]
fn BackToDevices() -> impl IntoView {
    view! {
        <a class="s inline-flex items-center gap-1 hover:underline" href="/devices">
            <span class="inline-flex rtl:-scale-x-100"><Icon glyph=Glyph::Back class="icon-s"/></span>
            "Devices"
        </a>
    }
}
