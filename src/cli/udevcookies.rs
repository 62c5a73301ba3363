//! `udevcookies`: the cookies that there are.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use crate::backend::cookie::{ListedCookie, cookies, local_time};
use clap::Args;
use serde_json::json;

/// List the cookies that commands wait with
#[derive(Args, Debug)]
pub(super) struct Udevcookies {}

impl Run for Udevcookies {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let listed = cookies()?;
        ctx.tell_list("cookies");
        ctx.out.print("Cookie       Semid      Value      Last semop time           Last change time\n");
        for ListedCookie { cookie, id, value, operated, changed } in listed {
            let [operated, changed] =
                [operated, changed].map(|time| local_time(time).unwrap_or_else(|| "unknown".into()));
            if let Some(document) = &mut ctx.json {
                document.push(
                    "cookies",
                    json!({
                        "cookie": format!("0x{:x}", cookie.key()),
                        "semaphore": id,
                        "value": value,
                        "operated": operated,
                        "changed": changed,
                    }),
                );
            }
            ctx.out.print(format!("0x{:<10x} {id:<10} {value:<10} {operated}  {changed}\n", cookie.key()));
        }
        Ok(())
    }
}
