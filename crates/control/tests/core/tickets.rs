//! One-time tickets.

use crate::rig::{FROM, PASSWORD, Rig, code, form};
use control::{Audience, PresentedTicket};
use domain::{ErrorCode, Secret, TenantName};

#[tokio::test]
async fn a_ticket_is_valid_once_for_one_audience() {
    let rig = Rig::new().await;
    let redeem = async |ticket: Secret, audience| {
        let lina = TenantName::parse("lina").unwrap();
        rig.control
            .auth()
            .redeem(
                audience,
                &lina,
                PresentedTicket::Cookie(ticket.expose()),
                FROM,
            )
            .await
    };
    let sign_in = async || {
        let password = Secret::new(PASSWORD);
        let ticket = rig.control.auth().sign_in("lina", &password, FROM).await;
        ticket.unwrap().done().unwrap().ticket
    };
    let first = rig.control.tenants().sign_up(form("lina"), FROM).await;
    let first = first.unwrap().ticket;
    assert!(redeem(first.clone(), Audience::Dashboard).await.is_ok());
    assert_eq!(
        code(redeem(first, Audience::Dashboard).await),
        ErrorCode::TicketInvalid,
        "used"
    );
    let second = sign_in().await;
    assert_eq!(
        code(redeem(second, Audience::Dns).await),
        ErrorCode::TicketInvalid,
        "another audience"
    );
    let third = sign_in().await;
    rig.clock.advance(61_000);
    assert_eq!(
        code(redeem(third, Audience::Dashboard).await),
        ErrorCode::TicketInvalid,
        "too old"
    );
    let too_long = Secret::new("x".repeat(100_000));
    assert_eq!(
        code(redeem(too_long, Audience::Dashboard).await),
        ErrorCode::TicketInvalid
    );
}
