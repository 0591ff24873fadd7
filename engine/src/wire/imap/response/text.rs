//! The human texts behind status responses, all in one place. Faults of syntax have theirs in
//! `fault.rs`, faults of names in `name`.

pub const GREETING: &str = "Ringpost ready";
pub const LOGOUT: &str = "Goodbye";
pub const SHUTDOWN: &str = "The server is shutting down; come back soon";
pub const IDLE_TOO_LONG: &str = "Idle for too long";
pub const TOO_MUCH: &str = "Too much to read";
pub const TOO_MANY_FAULTS: &str = "Too many commands that were not understood";
pub const TOO_MANY_CONNECTIONS: &str = "Too many connections";
pub const INTERNAL: &str = "Internal error";

pub const DONE: &str = "Done";
pub const IN_PROGRESS: &str = "Still at it";
pub const STARTTLS_GO: &str = "Begin TLS now";
pub const LOGGED_IN: &str = "Logged in";
pub const ENABLED: &str = "Enabled";
pub const SELECTED: &str = "Selected";
pub const EXAMINED: &str = "Selected read-only";
pub const CLOSED: &str = "The previous mailbox is closed";
pub const SEARCH_DONE: &str = "Search completed";
pub const SORT_DONE: &str = "Sort completed";
pub const THREAD_DONE: &str = "Thread completed";
pub const NO_MORE_UPDATES: &str = "No further updates";
pub const NO_SUCH_UPDATE: &str = "No result with this tag is kept up to date";
pub const TOO_MANY_UPDATES: &str = "This result is not kept up to date";
pub const TAG_REUSED: &str = "The result of this tag is kept up to date already";
pub const SELECTED_ONLY: &str = "SAVE and UPDATE are for the selected mailbox";
pub const FETCH_DONE: &str = "Fetch completed";
pub const STORE_DONE: &str = "Store completed";
pub const COPY_DONE: &str = "Copy completed";
pub const MOVE_DONE: &str = "Move completed";
pub const EXPUNGE_DONE: &str = "Expunge completed";
pub const APPEND_DONE: &str = "Append completed";
pub const IDLE_DONE: &str = "Idle completed";

pub const LOGIN_FAILED: &str = "Invalid user name or password";
pub const LOGIN_DISABLED: &str = "Begin TLS before you log in";
pub const LOGIN_UNAVAILABLE: &str = "Cannot check the password now; try again later";
pub const MECHANISM_UNKNOWN: &str = "Unknown authentication mechanism";
pub const AUTHENTICATE_CANCELLED: &str = "Authentication cancelled";
pub const AUTHENTICATE_BASE64: &str = "Not base64";
pub const TLS_ACTIVE: &str = "TLS is already active";
pub const TLS_UNAVAILABLE: &str = "TLS is not available";

pub const NOT_IN_THIS_STATE: &str = "Not in this state";
pub const LOG_IN_FIRST: &str = "Log in first";
pub const ALREADY_LOGGED_IN: &str = "Already logged in";
pub const SELECT_FIRST: &str = "Select a mailbox first";
pub const MAILBOX_READ_ONLY: &str = "The mailbox is selected read-only";

pub const NO_MAILBOX: &str = "No such mailbox";
pub const NO_MAILBOX_CREATE: &str = "No such mailbox; create it first";
pub const MAILBOX_EXISTS: &str = "The mailbox already exists";
pub const MAILBOX_GONE: &str = "The mailbox was deleted";
pub const INBOX_STAYS: &str = "INBOX cannot be deleted";
pub const HAS_CHILDREN: &str = "The mailbox has mailboxes below it";
pub const USE_ATTRIBUTE: &str = "The special use is not supported or already taken";
pub const NO_SUCH_MESSAGE: &str = "No such message";
pub const MESSAGE_GONE: &str = "A message was expunged by another session";
pub const NOTHING_SAVED: &str = "No search result is saved";
pub const BAD_CHARSET: &str = "The charset is not supported";
pub const UNKNOWN_CTE: &str = "The content transfer encoding is not known";
pub const MESSAGE_DAMAGED: &str = "The message cannot be read; the administrator is told";
pub const MESSAGE_TOO_BIG: &str = "The message is too big";
pub const MESSAGE_NUL: &str = "A NUL needs a literal8";
pub const DAMAGED: &str = "The mailbox cannot be read; the administrator is told";
pub const OVER_QUOTA: &str = "Quota exceeded";
pub const LIMIT_REACHED: &str = "A limit is reached";
pub const MODIFIED: &str = "Some messages were changed meanwhile";
pub const STORE_FULL: &str = "No space; try again later";
pub const STORE_READ_ONLY: &str = "The store is read-only; the administrator is told";
