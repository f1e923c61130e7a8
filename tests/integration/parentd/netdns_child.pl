#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# A child by Net::DNS and Net::DNS::SEC: an UPDATE that it makes, signs with SIG(0) and sends itself.
#   netdns_child.pl K.private ADDRESS PORT ZONE CHILD HOST...     prints the RCODE
use strict;
use warnings;
use Net::DNS;
use Net::DNS::SEC;

my ($key, $address, $port, $zone, $child, @hosts) = @ARGV;
my $update = Net::DNS::Update->new($zone);
$update->push(update => rr_del("$child NS"));
$update->push(update => rr_add("$child 300 NS $_")) for @hosts;
$update->sign_sig0($key);
my $resolver = Net::DNS::Resolver->new(nameservers => [$address], port => $port, recurse => 0, usevc => 1);
my $answer = $resolver->send($update) or die $resolver->errorstring;
print $answer->header->rcode, "\n";
