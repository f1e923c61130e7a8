/* SPDX-License-Identifier: BSD-2-Clause */
/* msctl: words to a row of the table, options to a struct, the row's function does it. */
#include "ctl.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msproto/base/enc.h>

/* What tables show; JSON has everything. */
#define ZONE_COLUMNS "zone,state,serial,seen_s,signers,members,cds_gate,waiting_s?,waiting_for?,transfer_error?"
#define GROUP_COLUMNS                                                                                                  \
	"group:identity,self,state,sign,role,membership,link,health,group_equal,serial,removed_without_offboarding?,"  \
	"hello_error?,"                                                                                                \
	"pull_error?"
#define KEYS_COLUMNS "keys:owner,tag,algorithm,kind,served,contributed,withdrawn"
#define PEER_COLUMNS                                                                                                   \
	"identity,state,state_for_s,health,shared_zones,addresses,key_tags,beat_received_s,next_action,next_in_s,"     \
	"discovery_error?"
#define COMBINER_COLUMNS "zone,state,serial,owner_serial,records,frozen?,held_back?,waiting_for?,waiting_s?,last_error?"
#define SHOW_COLUMNS                                                                                                   \
	"signers:address,transport,key,notified_serial,acknowledged,tries?,last_error?"                                \
	";primaries:address,transport,key,in_use;contributions:originator,type,set_by?,set_at?,records"

#define CHILDREN_COLUMNS "child,states,ns,ds,keys,trusted,waits_for?,note?"
#define CHILD_KEYS_COLUMNS                                                                                             \
	"child?,tag,algorithm,state,method,since,used?,unused_days?,attempts?,rounds?,next_look?,replaces?,"           \
	"fingerprint"
#define CHILD_COLUMNS                                                                                                  \
	"keys:tag,algorithm,state,method,since,used?,unused_days?,attempts?,rounds?,next_look?,replaces?,fingerprint"
#define AUDIT_COLUMNS   "seq,at,child,verdict,source,who,rule,why?,rcode?,ede?"
#define PARENT_COLUMNS  "parent,policy,backends,children?,serial?,being_read?,read_at?,error?"
#define BACKEND_COLUMNS "parent,backend,place,behind,busy,down,standby?,set_aside,last_ok?,next?,error?"

static const struct ctl_command commands[] = {
	{ "status", "", "what the daemons on this machine are doing (--socket: one daemon)", ctl_status, NULL, NULL },
	{ "zone list", "", "zones of the agent", ctl_local, CTL_MSAD_SOCKET, ZONE_COLUMNS },
	{ "zone show", "ZONE", "one zone: its group, whose key is whose, what is waited for", ctl_local,
	  CTL_MSAD_SOCKET, GROUP_COLUMNS ";" KEYS_COLUMNS },
	{ "zone refresh", "ZONE", "fetch the zone from the signer now", ctl_local, CTL_MSAD_SOCKET, NULL },
	{ "peer list", "", "the other providers' agents", ctl_local, CTL_MSAD_SOCKET, PEER_COLUMNS },
	{ "peer show", "IDENTITY", "one agent: state, addresses, keys, why not", ctl_local, CTL_MSAD_SOCKET, NULL },
	{ "combiner list", "[STATE]", "zones of the combiner: all, or those in trouble, frozen, held, expired, ...",
	  ctl_combiner_list, CTL_COMBINERD_SOCKET, COMBINER_COLUMNS },
	{ "combiner show", "ZONE", "one zone: serials, what is instructed by whom, what is waited for, last failure",
	  ctl_local, CTL_COMBINERD_SOCKET, SHOW_COLUMNS },
	{ "combiner diff", "ZONE", "owner's apex (-) beside what is handed to the signer (+)", ctl_diff,
	  CTL_COMBINERD_SOCKET, "change,record" },
	{ "combiner retransfer", "ZONE [HOW]", "fetch the zone from its primary now; force: whatever hangs there",
	  ctl_local, CTL_COMBINERD_SOCKET, NULL },
	{ "combiner freeze", "ZONE", "serve nothing new and take no instructions until thawed", ctl_local,
	  CTL_COMBINERD_SOCKET, NULL },
	{ "combiner thaw", "ZONE", "go on", ctl_local, CTL_COMBINERD_SOCKET, NULL },
	{ "combiner accept", "ZONE", "take the version that a guard holds back", ctl_local, CTL_COMBINERD_SOCKET,
	  NULL },
	{ "combiner audit", "ZONE [FROM]", "who did what when, from a sequence number on", ctl_local,
	  CTL_COMBINERD_SOCKET, "seq,at,who,originator?,what" },
	{ "combiner drop", "ZONE ORIGINATOR", "forget all instructions of an originator (*: of all)", ctl_local,
	  CTL_COMBINERD_SOCKET, NULL },
	{ "parent list", "", "parent zones of parentd", ctl_local, CTL_PARENTD_SOCKET, PARENT_COLUMNS },
	{ "parent children", "[STATE]",
	  "children: all, or those locked, gone, waiting, operator, keyed, unpublished, idle", ctl_parent_list,
	  CTL_PARENTD_SOCKET, CHILDREN_COLUMNS },
	{ "parent keys", "[CHILD]", "SIG(0) keys of a child, or of all", ctl_parent_list, CTL_PARENTD_SOCKET,
	  CHILD_KEYS_COLUMNS },
	{ "parent show", "CHILD", "one child: delegation, keys, what waits and for what, last scan", ctl_local,
	  CTL_PARENTD_SOCKET, CHILD_COLUMNS },
	{ "parent approve", "CHILD WHAT [HOW]",
	  "trust the key with this fingerprint, or make the change with this digest", ctl_parent_order,
	  CTL_PARENTD_SOCKET, NULL },
	{ "parent reject", "CHILD [WHAT]", "distrust the key, or drop the change that waits", ctl_parent_order,
	  CTL_PARENTD_SOCKET, NULL },
	{ "parent forget", "CHILD WHAT", "forget the key with this fingerprint", ctl_parent_order, CTL_PARENTD_SOCKET,
	  NULL },
	{ "parent lock", "CHILD [WHY]", "registry lock: nothing is accepted", ctl_parent_order, CTL_PARENTD_SOCKET,
	  NULL },
	{ "parent unlock", "CHILD", "take it away", ctl_parent_order, CTL_PARENTD_SOCKET, NULL },
	{ "parent scan", "CHILD", "look at its CDS and CSYNC now", ctl_parent_order, CTL_PARENTD_SOCKET, NULL },
	{ "parent add", "CHILD RECORDS", "a child that no transfer brings: file with its records", ctl_parent_order,
	  CTL_PARENTD_SOCKET, NULL },
	{ "parent set", "CHILD RECORDS [HOW]", "set its delegation to a file's records; force: without the gates",
	  ctl_parent_order, CTL_PARENTD_SOCKET, NULL },
	{ "parent rollback", "SEQ [HOW]", "set a delegation to what it was before an audit record", ctl_parent_order,
	  CTL_PARENTD_SOCKET, NULL },
	{ "parent audit", "[CHILD] [FROM]", "every decision, and why", ctl_parent_audit, CTL_PARENTD_SOCKET,
	  AUDIT_COLUMNS },
	{ "parent verify", "", "whether the audit trail is whole", ctl_parent_verify, CTL_PARENTD_SOCKET, NULL },
	{ "parent policy", "WHAT CHILD SOURCE RECORDS", "test: what would happen to a change, and why",
	  ctl_parent_order, CTL_PARENTD_SOCKET, NULL },
	{ "parent records", "[PARENT]", "DSYNC, SVCB, KEY: what is to be published, as lines of a zone file",
	  ctl_parent_records, CTL_PARENTD_SOCKET, NULL },
	{ "parent backends", "", "where changes go, and how far each is", ctl_local, CTL_PARENTD_SOCKET,
	  BACKEND_COLUMNS },
	{ "parent import", "[PARENT] [HOW]", "read the parent zone now; force: believe it whatever it lost",
	  ctl_parent_order, CTL_PARENTD_SOCKET, NULL },
	{ "parent sync", "ZONE", "the child's side: bring the parent up to date now", ctl_local, CTL_MSAD_SOCKET,
	  NULL },
	{ "parent roll", "ZONE", "the child's side: another key towards the parent", ctl_local, CTL_MSAD_SOCKET, NULL },
	{ "parent status", "ZONE", "the child's side: where it stands with the parent", ctl_local, CTL_MSAD_SOCKET,
	  NULL },
	{ "query hsync", "ZONE", "the HSYNC RRset in words [@SERVER]", ctl_query_hsync, NULL,
	  "records:hsync,ttl,valid" },
	{ "query dsync", "CHILD", "where the parent takes notifications and updates [@RESOLVER]", ctl_query_dsync, NULL,
	  "records:owner,ttl,rdata,use" },
	{ "query keystate", "CHILD", "what the receiver thinks of a key: --key FILE @RECEIVER", ctl_query_keystate,
	  NULL, NULL },
	{ "query update", "CHILD PARENT CHANGES", "act as a child: --key FILE @RECEIVER; lines `add ...`, `delete ...`",
	  ctl_query_update, NULL, NULL },
	{ "query hello", "ZONE", "greet an agent: --key FILE --identity NAME @AGENT --port N", ctl_query_hello, NULL,
	  NULL },
	{ "key generate", "OWNER", "make a SIG(0) key pair in --dir", ctl_key_generate, NULL, NULL },
	{ "key show", "FILE", "KEY record, tag and fingerprint of a .private file", ctl_key_show, NULL, NULL },
	{ "conf check", "DAEMON FILE", "check a configuration file; problems with file and line", ctl_conf_check, NULL,
	  NULL },
	{ NULL, NULL, NULL, NULL, NULL, NULL },
};

static enum ctl_exit usage(FILE *f)
{
	fprintf(f, "usage: msctl [OPTION...] COMMAND [ARGUMENT...]\n\n");
	for (const struct ctl_command *c = commands; c->words != NULL; c++)
		fprintf(f, "  %-19s %-15s %s\n", c->words, c->args, c->help);
	fprintf(f, "\n"
		   "  --json              JSON instead of tables\n"
		   "  --socket PATH       control socket of the daemon\n"
		   "  @ADDRESS            server to ask (query); --port N, --tcp\n"
		   "  --key FILE          SIG(0) private key to sign with (query)\n"
		   "  --peer-key FILE     .key file of the other side: its answer is verified\n"
		   "  --identity NAME     HSYNC identity to speak as (query hello)\n"
		   "  --algorithm ALG     of key generate: ED25519 (default), ECDSAP256SHA256, ECDSAP384SHA384, ED448, "
		   "RSASHA256\n"
		   "  --dir DIR           where key generate puts the files (default .)\n"
		   "  --timeout SECONDS   how long to wait (default 10)\n"
		   "\nexit status: 0 done, 1 refused or bad answer, 2 wrong usage, 3 nobody answered\n");
	return f == stdout ? CTL_OK : CTL_USAGE;
}

static int args_of(const struct ctl_command *c, int *optional)
{
	int n = 0;

	*optional = 0;
	for (const char *p = c->args; *p != '\0';) {
		p += strspn(p, " ");
		n += *p != '\0';
		*optional += *p == '[';
		p += strcspn(p, " ");
	}
	return n;
}

/* The row whose words begin the command line. */
static const struct ctl_command *find(int argc, char **argv, int *words)
{
	char two[64] = "";

	if (argc >= 2)
		snprintf(two, sizeof(two), "%.30s %.30s", argv[0], argv[1]);
	for (const struct ctl_command *c = commands; c->words != NULL; c++) {
		*words = strchr(c->words, ' ') != NULL ? 2 : 1;
		if (argc >= 1 && strcmp(c->words, *words == 2 ? two : argv[0]) == 0)
			return c;
	}
	return NULL;
}

static enum ctl_exit run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "socket", required_argument, NULL, 's' },
		{ "key", required_argument, NULL, 'k' },
		{ "peer-key", required_argument, NULL, 'p' },
		{ "identity", required_argument, NULL, 'i' },
		{ "algorithm", required_argument, NULL, 'a' },
		{ "dir", required_argument, NULL, 'd' },
		{ "port", required_argument, NULL, 'P' },
		{ "timeout", required_argument, NULL, 't' },
		{ "tcp", no_argument, NULL, 'T' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct ctl_opts o = {
		.algorithm = "ED25519", .dir = ".", .port = 53, .timeout_ms = 10000, .numbers = msp_numbers_default
	};
	const struct ctl_command *cmd;
	int c, words, wanted, optional, count = 0;
	uint64_t n;

	while ((c = getopt_long(argc, argv, "jhV", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			o.json = true;
			break;
		case 's':
			o.socket = optarg;
			break;
		case 'k':
			o.key_file = optarg;
			break;
		case 'p':
			o.peer_key = optarg;
			break;
		case 'i':
			o.identity = optarg;
			break;
		case 'a':
			o.algorithm = optarg;
			break;
		case 'd':
			o.dir = optarg;
			break;
		case 'T':
			o.tcp = true;
			break;
		case 'P':
		case 't':
			if (msp_u64_parse(msp_span_str(optarg), c == 'P' ? 65535 : 3600, &n) != MSP_OK || n == 0)
				return ctl_misuse(c == 'P' ? "--port" : "--timeout",
						  c == 'P' ? "a number of 1..65535" : "seconds, 1..3600");
			if (c == 'P')
				o.port = (uint16_t)n;
			else
				o.timeout_ms = (uint32_t)n * 1000;
			break;
		case 'V':
			printf("msctl %s\n", MSP_VERSION);
			return CTL_OK;
		case 'h':
			return usage(stdout);
		default:
			fputs("msctl: try msctl --help\n", stderr);
			return CTL_USAGE;
		}
	}
	argv += optind;
	argc -= optind;
	for (int i = 0; i < argc; i++) { /* @ADDRESS may stand anywhere */
		if (argv[i][0] == '@' && o.server == NULL)
			o.server = argv[i] + 1;
		else
			argv[count++] = argv[i];
	}
	argc = count;
	if (argc == 0)
		return usage(stderr);
	cmd = find(argc, argv, &words);
	if (cmd == NULL)
		return ctl_misuse(argv[0], "no such command; try msctl --help");
	wanted = args_of(cmd, &optional);
	if (argc - words > wanted || argc - words < wanted - optional) {
		fprintf(stderr, "usage: msctl %s %s\n", cmd->words, cmd->args);
		return CTL_USAGE;
	}
	return cmd->run(&o, cmd, argc - words, argv + words);
}

int main(int argc, char **argv)
{
	return (int)run(argc, argv);
}
