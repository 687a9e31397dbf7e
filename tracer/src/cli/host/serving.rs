//! Where the page is, and who may see it.

use tokio::runtime::Runtime;

use super::super::arguments::Serve;
use crate::serve::{
    Sources,
    http::{self, Guard, HttpError, Listen, Listener, Token},
    metrics, profiles, push,
};

/// A server that listens already.
pub struct Serving {
    listener: Listener,
    guard: Guard,
    /// Where, for whoever wants to go there.
    pub place: String,
    has_page: bool,
}

impl Serving {
    /// Begins to listen, while there are the rights for any port; `None`: nothing is to be
    /// served.
    pub fn begin(arguments: &Serve, runtime: &Runtime) -> Result<Option<Self>, HttpError> {
        let Some(listen) = arguments.listen() else {
            return Ok(None);
        };
        let listener = runtime.block_on(Listener::bind(&listen))?;
        // The mode of a Unix socket is guard enough.
        let token = match (&listen, &arguments.token_file) {
            (Listen::Unix(_), _) => None,
            (Listen::Tcp(_), Some(path)) => Some(Token::of_file(path)?),
            (Listen::Tcp(_), None) => Some(Token::random()?),
        };
        let place = match (&listen, listener.address(), &token) {
            (Listen::Unix(path), ..) => path.display().to_string(),
            (_, Some(address), Some(token)) if arguments.token_file.is_none() => {
                format!("http://{address}/?token={}", token.text())
            }
            (_, Some(address), _) => format!("http://{address}/, with the token in the file"),
            _ => String::new(),
        };
        Ok(Some(Self {
            guard: Guard::new(listener.address(), token.as_ref(), &arguments.host_names),
            listener,
            place,
            has_page: !arguments.no_page,
        }))
    }

    /// Serves until `shutdown`: metrics and profiles, and the page if it is to.
    pub async fn run(
        self,
        sources: Sources,
        pushes: push::Status,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), HttpError> {
        let more = vec![
            metrics::routes_with(sources.clone(), pushes),
            profiles::routes(sources.clone()),
        ];
        let page = self.has_page.then_some(sources);
        http::run(self.listener, page, self.guard, more, shutdown).await
    }
}
