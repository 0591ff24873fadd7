# Mail::DKIM checks the signatures of messages: dkim_verify.pl RECORDS SIGNATURES FILE...
#
# RECORDS holds lines of a name and the text of its TXT record, a tab between them. Prints one line
# a message, the verdicts of its first SIGNATURES signatures from the top.
use strict;
use warnings;
use Mail::DKIM::Verifier;
use Net::DNS::RR;

my ($records, $signatures, @files) = @ARGV;
my %records;
open(my $lines, '<', $records) or die "$records: $!";
while (<$lines>) {
    chomp;
    my ($name, $text) = split /\t/;
    $records{$name} = $text;
}

no warnings 'redefine';
*Mail::DKIM::DNS::query = sub {
    my ($name) = @_;
    $@ = exists $records{$name} ? 'NOERROR' : 'NXDOMAIN';
    my $found = $records{$name} // return;
    return Net::DNS::RR->new(name => $name, type => 'TXT', txtdata => [$found =~ /(.{1,255})/gs]);
};

for my $file (@files) {
    open(my $message, '<:raw', $file) or die "$file: $!";
    my $verifier = Mail::DKIM::Verifier->new();
    eval {
        $verifier->load($message);
        my @verdicts = map { $_->result_detail =~ tr/,\n/  /r } $verifier->signatures;
        print join(',', @verdicts[0 .. $signatures - 1]), "\n";
        1;
    } or print "error $@";
}
