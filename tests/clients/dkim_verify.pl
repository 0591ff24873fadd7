# Mail::DKIM checks the signatures of messages: dkim_verify.pl RECORDS SIGNATURES FILE...
#
# RECORDS holds lines of a name and the text of its TXT record, a tab between them. Prints one line
# a message, the verdicts of its first SIGNATURES signatures from the top, or that of its ARC chain
# where SIGNATURES is `arc`.
use strict;
use warnings;
use Mail::DKIM::ARC::Verifier;
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
    my $is_arc = $signatures eq 'arc';
    my $verifier = $is_arc ? Mail::DKIM::ARC::Verifier->new() : Mail::DKIM::Verifier->new();
    my @verdicts;
    eval {
        $verifier->load($message);
        @verdicts = ($verifier->result) if $is_arc;
        @verdicts = map { $_->result_detail } @{[$verifier->signatures]}[0 .. $signatures - 1]
            unless $is_arc;
        1;
    } or @verdicts = ("error $@");
    print join(',', map { tr/,\n/  /r } @verdicts), "\n";
}
