//! Parameters of MAIL and RCPT: read where they are right, refused where not.

use super::*;

#[test]
fn reads_every_parameter_of_mail() {
    let text = " size=12345 BODY=8bitmime SMTPUTF8 RET=hdrs ENVID=QQ+2B1 \
         AUTH=e+3Dmc2@example.com MT-PRIORITY=-3";
    assert_eq!(
        MailParams::parse(text),
        Ok(MailParams {
            size: Some(12345),
            body: BodyKind::EightBitMime,
            smtputf8: true,
            ret: Some(Ret::Headers),
            envid: Some("QQ+1".into()),
            auth: Some("e=mc2@example.com".into()),
            priority: Some(-3),
            ..MailParams::default()
        })
    );
    assert_eq!(MailParams::parse(""), Ok(MailParams::default()));
    let null = MailParams::parse(" AUTH=<>").expect("the null submitter");
    assert_eq!(null.auth.as_deref(), Some("<>"));
}

#[test]
fn reads_when_and_how_a_message_is_to_travel() {
    let params = |text: &str| MailParams::parse(text).expect(text);
    assert_eq!(params("HOLDFOR=3600").hold, Some(Hold::For(3_600)));
    assert_eq!(
        params("holduntil=2026-11-22T04:00:00Z").hold,
        Some(Hold::Until(1_795_320_000))
    );
    assert!(params("requiretls").require_tls);
    for (value, secs, mode, trace) in [
        ("BY=120;R", 120, ByMode::Return, false),
        ("by=+999999999;rt", 999_999_999, ByMode::Return, true),
        ("BY=0;N", 0, ByMode::Notify, false),
        ("BY=-30;NT", -30, ByMode::Notify, true),
    ] {
        let by = DeliverBy { secs, mode, trace };
        assert_eq!(params(value).by, Some(by), "{value}");
    }
    let both = "HOLDFOR=1 HOLDUNTIL=2026-11-22T04:00:00Z";
    assert_eq!(MailParams::parse(both), Err(reply::DUPLICATE_PARAMETER));
}

#[test]
fn reads_every_parameter_of_rcpt() {
    let params = RcptParams::parse(" NOTIFY=success,DELAY ORCPT=rfc822;a+2Bb@c").expect("good");
    assert_eq!(params.notify, Notify(Notify::SUCCESS.0 | Notify::DELAY.0));
    assert_eq!(params.orcpt.as_deref(), Some("rfc822;a+b@c"));
    let params = RcptParams::parse(" ORCPT=utf-8;\\x{3B4}@c NOTIFY=NEVER").expect("good");
    assert_eq!(params.notify, Notify::NEVER);
    assert_eq!(params.orcpt.as_deref(), Some("utf-8;δ@c"));
}

#[test]
fn refuses_wrong_values() {
    for bad in [
        "SIZE",
        "SIZE=",
        "SIZE=-1",
        "SIZE=1x",
        "SIZE=123456789012345678901",
        "BODY=9BIT",
        "BODY",
        "SMTPUTF8=1",
        "RET=SOME",
        "ENVID=",
        "ENVID=a+2",
        "ENVID=a+2g",
        "ENVID=a+2b",
        "ENVID=+0A",
        "ENVID=+00",
        "AUTH=nobody",
        "AUTH=<",
        "SIZE=1=2",
        "=1",
        "-A=1",
        "S?=1",
        "ENVID=+FF",
        "MT-PRIORITY",
        "MT-PRIORITY=10",
        "MT-PRIORITY=+1",
        "MT-PRIORITY=-",
        "REQUIRETLS=1",
        "HOLDFOR",
        "HOLDFOR=0",
        "HOLDFOR=-1",
        "HOLDFOR=1234567890",
        "HOLDUNTIL=tomorrow",
        "HOLDUNTIL=2026-02-30T00:00:00Z",
        "BY=60",
        "BY=;R",
        "BY=60;",
        "BY=60;X",
        "BY=60;TR",
        "BY=0;R",
        "BY=-1;RT",
        "BY=--1;N",
        "BY=1234567890;N",
    ] {
        assert_eq!(MailParams::parse(bad), Err(reply::BAD_PARAMETER), "{bad}");
    }
    for bad in [
        "NOTIFY",
        "NOTIFY=",
        "NOTIFY=NEVER,DELAY",
        "NOTIFY=SUCCESS,",
        "NOTIFY=FOO",
        "ORCPT=a@b",
        "ORCPT=;a",
        "ORCPT=rfc822;",
        "ORCPT=rfc822;a+0D+0Ab",
        "ORCPT=utf-8;\\x{D800}",
        "ORCPT=utf-8;\\x{A}",
        "ORCPT=utf-8;\\x{41",
        "ORCPT=r f;x",
    ] {
        assert!(RcptParams::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn refuses_the_unknown_and_the_repeated() {
    assert_eq!(MailParams::parse("FOO=1"), Err(reply::UNKNOWN_PARAMETER));
    assert_eq!(
        MailParams::parse("NOTIFY=NEVER"),
        Err(reply::UNKNOWN_PARAMETER)
    );
    assert_eq!(RcptParams::parse("SIZE=1"), Err(reply::UNKNOWN_PARAMETER));
    assert_eq!(
        MailParams::parse("SIZE=1 size=1"),
        Err(reply::DUPLICATE_PARAMETER)
    );
    assert_eq!(
        RcptParams::parse("NOTIFY=NEVER NOTIFY=NEVER"),
        Err(reply::DUPLICATE_PARAMETER)
    );
}

#[test]
fn keeps_the_limits() {
    let envid = |octets: usize| MailParams::parse(&format!("ENVID={}", "x".repeat(octets)));
    assert!(envid(100).is_ok() && envid(101).is_err());
    let orcpt = |octets: usize| RcptParams::parse(&format!("ORCPT=x;{}", "x".repeat(octets)));
    assert!(orcpt(498).is_ok() && orcpt(499).is_err());
    assert_eq!(
        MailParams::parse("SIZE=99999999999999999999").map(|p| p.size),
        Ok(Some(u64::MAX))
    );
}
