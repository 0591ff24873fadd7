# A user's day with Ruby's net/imap: UTF-7 names, ENVELOPE, BODYSTRUCTURE, SORT, THREAD, IDLE.

require "date"
require "net/imap"
require "timeout"

ALICE, PASSWORD = "alice@example.test", ENV.fetch("PASSWORD")
PORT, CA = ENV.fetch("IMAPS_PORT").to_i, ENV.fetch("CA_FILE")

def opened(mechanism)
  imap = Net::IMAP.new("localhost", port: PORT, ssl: { ca_file: CA })
  mechanism ? imap.authenticate(mechanism, ALICE, PASSWORD) : imap.login(ALICE, PASSWORD)
  imap
end

def message(number, subject)
  "From: Jo <jo@remote.test>\r\nTo: alice@example.test\r\nSubject: #{subject}\r\n" \
    "Date: Mon, 7 Feb 1994 21:52:#{format("%02d", number)} -0800\r\n" \
    "Message-ID: <#{number}@remote.test>\r\nMIME-Version: 1.0\r\n" \
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n" \
    "--b\r\nContent-Type: text/plain\r\n\r\ntext #{number}\r\n" \
    "--b\r\nContent-Type: image/png; name=\"a b.png\"\r\n" \
    "Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\n"
end

def must(what, wanted, found)
  raise "#{what}: #{found.inspect} instead of #{wanted.inspect}" unless wanted == found
end

def folders(imap)
  name = Net::IMAP.encode_utf7("Größe & Gewicht")
  imap.create(name)
  imap.subscribe(name)
  listed = imap.list("", "Gr*").map { |entry| Net::IMAP.decode_utf7(entry.name) }
  must("LIST", ["Größe & Gewicht"], listed)
  must("LSUB", [name], imap.lsub("", "Gr*").map(&:name))
  imap.rename(name, "Renamed")
  imap.delete("Renamed")
  must("NAMESPACE", "/", imap.namespace.personal[0].delim) if imap.respond_to?(:namespace)
end

def messages(imap)
  imap.select("INBOX")
  imap.append("INBOX", message(1, "beta"), [:Seen], Time.at(761_000_000))
  imap.append("INBOX", message(2, "alpha"), [:Seen, :Flagged])
  imap.append("INBOX", message(3, "Re: beta"))
  must("SORT", [2, 1, 3], imap.uid_sort(["SUBJECT", "DATE"], ["ALL"], "UTF-8"))
  must("SEARCH", [1, 3], imap.uid_search(["SUBJECT", "beta"]))
  must("SEARCH UTF-8", [], imap.uid_search(["TEXT", "größe".b], "UTF-8"))
  must("THREAD", 2, imap.thread("REFERENCES", ["ALL"], "UTF-8").size)
  taken_apart(imap.uid_fetch(1, %w[ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE])[0].attr)
  must("BODY", message(1, "beta"), imap.uid_fetch(1, "BODY.PEEK[]")[0].attr["BODY[]"])
  must("part", "text 1", imap.uid_fetch(1, "BODY.PEEK[1]")[0].attr["BODY[1]"])
end

def taken_apart(attributes)
  must("subject", "beta", attributes["ENVELOPE"].subject)
  must("sender", "jo", attributes["ENVELOPE"].from[0].mailbox)
  must("size", message(1, "beta").bytesize, attributes["RFC822.SIZE"])
  parts = attributes["BODYSTRUCTURE"].parts
  must("types", %w[TEXT IMAGE], parts.map { |part| part.media_type.upcase })
  must("name", "a b.png", parts[1].param.transform_keys(&:upcase)["NAME"])
  must("date", Time.at(761_000_000), DateTime.parse(attributes["INTERNALDATE"]).to_time)
end

def changes(imap)
  flags = imap.uid_store(1, "+FLAGS", [:Answered])[0].attr["FLAGS"]
  must("STORE", %i[Answered Seen], (flags - [:Recent]).sort)
  imap.create("Away")
  imap.uid_copy([1, 2], "Away")
  imap.uid_move(3, "Away")
  must("STATUS", { "MESSAGES" => 3, "UNSEEN" => 1 }, imap.status("Away", %w[MESSAGES UNSEEN]))
  imap.uid_store(2, "+FLAGS", [:Deleted])
  must("EXPUNGE", 2, imap.expunge.last)
end

def idles(imap)
  other = opened(nil)
  told = []
  Timeout.timeout(60) do
    imap.idle do |response|
      told << response.name if response.is_a?(Net::IMAP::UntaggedResponse)
      if response.is_a?(Net::IMAP::ContinuationRequest)
        other.append("INBOX", message(9, "while idle"))
      elsif told.include?("EXISTS")
        imap.idle_done
      end
    end
  end
  other.logout
end

["PLAIN", "LOGIN"].each { |mechanism| opened(mechanism).logout }
imap = opened(nil)
folders(imap)
messages(imap)
changes(imap)
idles(imap)
imap.logout
