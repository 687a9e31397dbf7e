//! Serves the page of a host that is made up, to be looked at in a browser. Prints its address.

use tests::SampleHost;
use tracer::serve::http::{Guard, Listen, Listener, Token, run};

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:7070".to_owned());
    runtime.block_on(async {
        let host = SampleHost::new();
        let listener = Listener::bind(&Listen::Tcp(address.parse()?)).await?;
        let token = Token::random()?;
        let guard = Guard::new(listener.address(), Some(&token), &[]);
        if let Some(address) = listener.address() {
            println!("http://{address}/?token={}", token.text());
        }
        let ended = async { while tokio::signal::ctrl_c().await.is_err() {} };
        run(
            listener,
            Some(host.sources.clone()),
            guard,
            Vec::new(),
            ended,
        )
        .await?;
        Ok(())
    })
}
