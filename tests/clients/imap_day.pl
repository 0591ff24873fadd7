# A user's day with four IMAP modules of Perl, each in a mailbox of its own.

use strict;
use warnings;
use utf8;

use IO::Socket::SSL;
use Mail::IMAPClient;
use Mail::IMAPTalk;
use Net::IMAP::Client;
use Net::IMAP::Simple;

my ($alice, $password) = ('alice@example.test', $ENV{PASSWORD});
my ($port, $ca) = ($ENV{IMAPS_PORT}, $ENV{CA_FILE});
my @ssl = (SSL_ca_file => $ca, SSL_verifycn_name => 'localhost');

sub must {
    my ($what, $wanted, $found) = @_;
    defined $found && $wanted eq $found
        or die "$what: " . ($found // 'nothing') . " instead of $wanted\n";
}

sub message {
    my ($number) = @_;
    return join "\r\n", 'From: a@remote.test', "Subject: number $number",
        "Message-ID: <$number\@remote.test>", '', "body of $number", '';
}

# Literals by LITERAL+, compression, THREAD and SORT, flags, moves, IDLE.
sub mail_imapclient {
    my %at = (Server => 'localhost', Port => $port, Ssl => [@ssl], Uid => 1, Timeout => 60);
    for my $mechanism (qw(PLAIN LOGIN)) {
        my $imap = Mail::IMAPClient->new(
            %at, User => $alice, Password => $password, Authmechanism => $mechanism)
            or die "$mechanism: $@";
        $imap->logout;
    }
    my $imap = Mail::IMAPClient->new(%at, User => $alice, Password => $password) or die $@;
    $imap->compress or die 'compress: ' . $imap->LastError if $imap->can('compress');
    $imap->create('Client') or die $imap->LastError;
    $imap->append_string('Client', message($_), '\Seen') or die $imap->LastError for 1 .. 5;
    $imap->select('Client') or die $imap->LastError;
    must('count', 5, $imap->message_count);
    must('search', '3', join ' ', $imap->search('SUBJECT', 'number 3'));
    must('sort', '5 4 3 2 1', join ' ', @{ $imap->sort('REVERSE SUBJECT', 'UTF-8', 'ALL') });
    must('thread', 5, scalar @{ $imap->thread('REFERENCES', 'UTF-8', 'ALL') });
    must('message', message(2), $imap->message_string(2));
    must('envelope', 'number 4', $imap->get_envelope(4)->subject);
    $imap->create('Moved') or die $imap->LastError;
    $imap->move('Moved', [ 1, 2 ]) or die $imap->LastError;
    $imap->delete_message(3) or die $imap->LastError;
    $imap->expunge or die $imap->LastError;
    must('left', '4 5', join ' ', $imap->messages);
    must('moved', 2, $imap->message_count('Moved'));
    my $tag = $imap->idle or die $imap->LastError;
    $imap->done($tag) or die $imap->LastError;
    $imap->logout;
}

# Its own parser of everything, with METADATA, ACL, QUOTA and NAMESPACE.
sub mail_imaptalk {
    my $socket = IO::Socket::SSL->new(PeerAddr => 'localhost', PeerPort => $port, @ssl) or die $!;
    my $imap = Mail::IMAPTalk->new(
        Socket => $socket, Username => $alice, Password => $password, Uid => 1, UseBlocking => 1)
        or die $@;
    must('namespace', '/', $imap->namespace->[0][0][1]);
    $imap->create('Talk') or die $@;
    $imap->append('Talk', '(\Flagged)', { Literal => message($_) }) or die $@ for 1 .. 3;
    $imap->select('Talk') or die $@;
    must('search', '1 2 3', join ' ', @{ $imap->search('flagged') });
    my $fetched = $imap->fetch('1:*', '(flags envelope bodystructure rfc822.size)');
    must('subject', 'number 2', $fetched->{2}{envelope}{Subject});
    must('size', length message(2), $fetched->{2}{'rfc822.size'});
    must('type', 'text/plain', $fetched->{2}{bodystructure}{'MIME-Type'}
            . '/' . $fetched->{2}{bodystructure}{'MIME-Subtype'});
    $imap->store('2', '+flags', '(\\Deleted)') or die $@;
    $imap->uidexpunge('2') or die $@;
    must('left', '1 3', join ' ', @{ $imap->search('all') });
    $imap->setacl('Talk', 'bob@example.test', 'lr') or die "setacl: $@";
    my %rights = @{ $imap->getacl('Talk') };
    must('rights', 'lr', $rights{'bob@example.test'});
    $imap->setmetadata('Talk', '/private/comment', 'of Talk') or die "setmetadata: $@";
    $imap->getmetadata('Talk', '/private/comment') or die "getmetadata: $@";
    $imap->logout;
}

sub net_imap_client {
    my $imap = Net::IMAP::Client->new(
        server => 'localhost', port => $port, ssl => 1, ssl_verify_peer => 1, ssl_options => {@ssl},
        user => $alice, pass => $password) or die 'no connection';
    $imap->login or die $imap->last_error;
    $imap->create_folder('Other') or die $imap->last_error;
    my $text = message(7);
    $imap->append('Other', \$text, ['\Seen']) or die $imap->last_error;
    $imap->select('Other') or die $imap->last_error;
    my $found = $imap->search({ subject => 'number 7' }) or die $imap->last_error;
    must('search', '1', join ' ', @$found);
    my $summary = $imap->get_summaries(1)->[0];
    must('summary', 'number 7', $summary->subject);
    must('body', $text, ${ $imap->get_rfc822_body(1) });
    $imap->delete_message(1) or die $imap->last_error;
    $imap->expunge or die $imap->last_error;
    must('left', 0, $imap->status('Other')->{MESSAGES});
    $imap->logout;
}

sub net_imap_simple {
    my $imap = Net::IMAP::Simple->new("localhost:$port", use_ssl => 1, ssl_options => [@ssl])
        or die $Net::IMAP::Simple::errstr;
    $imap->login($alice, $password) or die $imap->errstr;
    $imap->create_mailbox('Simple') or die $imap->errstr;
    $imap->put('Simple', message($_), '\Seen') or die $imap->errstr for 1 .. 2;
    must('count', 2, $imap->select('Simple'));
    must('text', message(2), join '', @{ $imap->get(2) });
    $imap->see(1) && $imap->delete(1) or die $imap->errstr;
    must('expunged', 1, scalar $imap->expunge_mailbox('Simple'));
    must('left', 1, $imap->select('Simple'));
    $imap->quit;
}

mail_imapclient();
mail_imaptalk();
net_imap_client();
net_imap_simple();
