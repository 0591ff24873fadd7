//! Who somebody is: mechanisms, stored secrets, throttling of failures.
