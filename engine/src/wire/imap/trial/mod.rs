//! Trials of the whole wire: the RFCs' examples, every split, hostile input, another codec.
