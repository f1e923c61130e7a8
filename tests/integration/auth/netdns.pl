#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# SIG(0) by Net::DNS::SEC, one message at a time on stdin and stdout.
#   netdns.pl verify K.key              prints "ok" or the reason
#   netdns.pl sign K.private            adds a SIG(0)
#   netdns.pl update K.private ZONE     makes and signs an UPDATE of its own
use strict;
use warnings;
use Net::DNS;
use Net::DNS::SEC;

binmode STDIN;
binmode STDOUT;
my ($command, $file, @rest) = @ARGV;

sub message {
	local $/;
	my $octets = <STDIN>;
	my $packet = Net::DNS::Packet->new(\$octets) or die "cannot parse: $@";
	return $packet;
}

if ($command eq 'verify') {
	open my $f, '<', $file or die "$file: $!";
	my ($line) = grep { !/^;/ } <$f>;
	my $packet = message();
	my $ok = $packet->verify(Net::DNS::RR->new($line));
	print $ok ? "ok\n" : "bad: " . ($packet->verifyerr // '') . "\n";
	exit($ok ? 0 : 1);
} elsif ($command eq 'sign') {
	my $packet = message();
	$packet->sign_sig0($file);
	print $packet->data;
} elsif ($command eq 'update') {
	my $update = Net::DNS::Update->new($rest[0]);
	$update->push(update => rr_del("child.$rest[0] NS"));
	$update->push(update => rr_add("child.$rest[0] 3600 NS ns1.child.$rest[0]"));
	$update->push(update => rr_add("ns1.child.$rest[0] 3600 AAAA 2001:db8::53"));
	$update->sign_sig0($file);
	print $update->data;
} else {
	die "usage: see the head of netdns.pl\n";
}
