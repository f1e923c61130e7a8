/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Many msad cores in one process: a fake clock, a network that loses, doubles, delays, damages and reorders raw octets,
 * a resolver with a table of secure RRsets, and per provider a combiner, a signer and a store. Everything comes from
 * one seed. Invariants are checked after each step; a violation fails the test.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "support.h"

#include "core.h"
#include "state.h"

#define SIM_NODES_MAX 64
#define SIM_ZONES_MAX 4
#define SIM_STALE_MAX 8

struct sim_zone {      /* of one node: what its combiner and signer have */
	bool has_zone; /* the owner's zone has arrived */
	struct msp_rrset *own, *put_dnskey, *put_cds, *orphans;
	struct msp_rrset *put_key;    /* KEY records towards the parent */
	struct msp_rrset *parent_key; /* the agent's own */
	bool cds_on;
	bool drops_foreign; /* a signer that does not obey */
	bool keeps_withdrawn;
	bool view_lost; /* NOTIFY of the signer is lost: only a poll finds the new zone */
	uint32_t serial;
	uint64_t combines, signer_commands;
	bool gate_was_open;
};

struct sim_node {
	struct msp_name identity, host;
	struct msp_key *key, *old_key;
	struct msp_addr addr;
	struct msp_rand rand;
	struct msa_core *core;
	struct msp_map saved; /* key -> struct entry */
	int64_t skew_s;
	unsigned life;      /* counts restarts */
	bool is_up, is_cut; /* cut: no packet in or out */
	bool is_hidden;     /* its names do not resolve */
	unsigned group;     /* partition: only equal numbers reach each other */
	struct sim_zone zone[SIM_ZONES_MAX];
	uint64_t sent[256]; /* by operation; pulls at 0 */
	int64_t combiner_fails_until_ms;
};

struct sim {
	struct sim_node node[SIM_NODES_MAX];
	size_t nodes, zones;
	struct msp_name zone_name[SIM_ZONES_MAX];
	struct msp_rrset *hsync[SIM_ZONES_MAX]; /* the owner's; NULL = none */
	struct msp_rand rand;
	struct msp_log log;
	int64_t now_ms;
	unsigned loss, dup, damage, crash, oom; /* per cent; damage, oom per mille; crash per step and 10000 */
	uint32_t heartbeat_s;
	bool keys_changed;
	bool has_parents; /* agents have a key each towards the parent, and never find out who that is */
	struct msp_rr_scratch *scratch;
	struct sim_ev **heap;
	size_t heap_count, heap_size;
	uint64_t order, request_id;
	struct msp_map requests; /* request id -> exchange */
	uint64_t steps, messages, crashes, ooms;
	uint16_t tags[4096];
	size_t tag_count;
};

struct sim *sim_new(size_t nodes, size_t zones, uint64_t seed);
void sim_free(struct sim **s);
/** Record lines for HSYNC of all nodes ON AGENT YES in every zone. */
void sim_all_on(struct sim *s);
/** Set the state of one node in one zone's HSYNC: "ON AGENT YES", or NULL to take it out. Others stay. */
void sim_hsync(struct sim *s, size_t zone, size_t node, const char *fields);
void sim_start(struct sim *s, size_t node);
void sim_start_all(struct sim *s);
/** kill -9 and, after pause_ms, start from what was stored. */
void sim_restart(struct sim *s, size_t node, int64_t pause_ms);
/** The owner's zone (with the current HSYNC) reaches the node: its signer has a new version after delay_ms. */
void sim_deliver_zone(struct sim *s, size_t node, size_t zone, int64_t delay_ms);
void sim_deliver_all(struct sim *s);
/** New key at the signer; and its removal. */
void sim_add_key(struct sim *s, size_t node, size_t zone, uint16_t flags);
void sim_drop_key(struct sim *s, size_t node, size_t zone, size_t index);
/** A new SIG(0) key in DNS and in use after a restart. */
void sim_rekey(struct sim *s, size_t node);

/** Run for `ms`. */
void sim_run(struct sim *s, int64_t ms);
/** Run until the predicate holds; false when it does not within `ms`. */
bool sim_until(struct sim *s, bool (*pred)(struct sim *s), int64_t ms);
/** Everybody: member of everybody, union of keys served, gate open, CDS of everybody served. Counts only nodes that are
 * up. */
bool sim_all_done(struct sim *s);
/** Print who waits for what. */
void sim_explain(struct sim *s);

struct msa_zone *sim_zone_of(struct sim *s, size_t node, size_t zone);
struct msa_peer *sim_peer_of(struct sim *s, size_t node, size_t peer);
struct msa_member *sim_member_of(struct sim *s, size_t node, size_t peer, size_t zone);
size_t sim_count(const struct msp_rrset *set);
/** DNSKEY RRset that the node's signer serves; caller frees. */
struct msp_rrset *sim_served(struct sim *s, size_t node, size_t zone);

#endif
