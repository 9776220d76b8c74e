// The state grid of a connection: RFC 9293 3.10.7.3 and 3.10.7.4 with RFC 5961, RFC 7323 5, RFC 1337. CLOSED,
// LISTEN, half-open and compact TIME-WAIT have theirs in lib/stack.
#ifndef TERN_TCP_STATE_GRID_TABLE_FOR_TEST_H_
#define TERN_TCP_STATE_GRID_TABLE_FOR_TEST_H_

namespace tern::tcp {

// Before each segment of the synchronized states, 1000 octets and (where the state has sent one) a FIN are in
// flight, 1000 are acknowledged, the peer's window is 4000 and always was, ours 65535. "ALL" acknowledges all
// that is in flight.
inline constexpr const char* kGridSegments = R"(
# name                | CTL         | SEQ                 | ACK               | LEN | UP  | TSval

# RST
rst_exact             | RST         | RCV.NXT             | -                 |
rst_exact_wild_ack    | RST,ACK     | RCV.NXT             | SND.NXT+77777     |
rst_exact_with_text   | RST         | RCV.NXT             | -                 | 100
rst_next              | RST         | RCV.NXT+1           | -                 |
rst_last_in_window    | RST         | RCV.NXT+RCV.WND-1   | -                 |
rst_behind_window     | RST         | RCV.NXT+RCV.WND     | -                 |
rst_before_window     | RST         | RCV.NXT-1           | -                 |

# SYN
syn_exact             | SYN         | RCV.NXT             | -                 |
syn_in_window         | SYN         | RCV.NXT+1000        | -                 |
syn_before_window     | SYN         | RCV.NXT-1000        | -                 |
syn_behind_window     | SYN         | RCV.NXT+RCV.WND+1   | -                 |
synack_in_window      | SYN,ACK     | RCV.NXT+1000        | SND.NXT           |
syn_again             | SYN         | IRS                 | -                 |
synack_again          | SYN,ACK     | IRS                 | SND.NXT           |
syn_fin               | SYN,FIN     | RCV.NXT             | -                 |
syn_rst               | SYN,RST     | RCV.NXT             | -                 |

# no ACK
null                  | -           | RCV.NXT             | -                 |
text_no_ack           | PSH         | RCV.NXT             | -                 | 100
fin_no_ack            | FIN         | RCV.NXT             | -                 |
fin_psh_urg           | FIN,PSH,URG | RCV.NXT             | -                 |

# ACK, without text
ack_duplicate         | ACK         | RCV.NXT             | SND.UNA           |
ack_old               | ACK         | RCV.NXT             | SND.UNA-1         |
ack_oldest            | ACK         | RCV.NXT             | SND.UNA-MAX.WND   |
ack_too_old           | ACK         | RCV.NXT             | SND.UNA-MAX.WND-1 |
ack_unsent            | ACK         | RCV.NXT             | SND.NXT+1         |
ack_half_the_circle   | ACK         | RCV.NXT             | SND.NXT+2147483648 |
ack_part              | ACK         | RCV.NXT             | SND.UNA+500       |
ack_all               | ACK         | RCV.NXT             | SND.NXT           |
ack_all_in_window     | ACK         | RCV.NXT+1000        | SND.NXT           |
ack_before_window     | ACK         | RCV.NXT-1           | SND.NXT           |
ack_behind_window     | ACK         | RCV.NXT+RCV.WND     | SND.NXT           |

# text
text_exact            | ACK         | RCV.NXT             | SND.UNA           | 100
text_acks_all         | ACK,PSH     | RCV.NXT             | SND.NXT           | 100
text_ack_old          | ACK         | RCV.NXT             | SND.UNA-1         | 100
text_ack_too_old      | ACK         | RCV.NXT             | SND.UNA-MAX.WND-1 | 100
text_ack_unsent       | ACK         | RCV.NXT             | SND.NXT+1         | 100
text_ahead            | ACK         | RCV.NXT+200         | SND.UNA           | 100
text_again            | ACK         | RCV.NXT-100         | SND.NXT           | 100
text_overlaps         | ACK         | RCV.NXT-40          | SND.UNA           | 100
text_behind_window    | ACK         | RCV.NXT+RCV.WND     | SND.NXT           | 100
text_over_the_edge    | ACK         | RCV.NXT+RCV.WND-40  | SND.UNA           | 100

# FIN
fin_exact             | FIN,ACK     | RCV.NXT             | SND.UNA           |
fin_acks_all          | FIN,ACK     | RCV.NXT             | SND.NXT           |
fin_ack_unsent        | FIN,ACK     | RCV.NXT             | SND.NXT+1         |
fin_with_text         | FIN,ACK     | RCV.NXT             | SND.UNA           | 100
fin_text_acks_all     | FIN,ACK,PSH | RCV.NXT             | SND.NXT           | 100
fin_ahead             | FIN,ACK     | RCV.NXT+200         | SND.UNA           |
fin_again             | FIN,ACK     | RCV.NXT-1           | SND.NXT           |
fin_behind_window     | FIN,ACK     | RCV.NXT+RCV.WND     | SND.NXT           |

# URG
urg_with_text         | URG,ACK     | RCV.NXT             | SND.UNA           | 100 | 50
urg_without_text      | URG,ACK     | RCV.NXT             | SND.UNA           | -   | 10
urg_ahead             | URG,ACK     | RCV.NXT+200         | SND.UNA           | 100 | 50
urg_of_the_past       | URG,ACK     | RCV.NXT             | SND.UNA           | -   | 0

# timestamps
ts_older_text         | ACK         | RCV.NXT             | SND.NXT           | 100 | -   | TS.Recent-1
ts_older_ack          | ACK         | RCV.NXT             | SND.NXT           | -   | -   | TS.Recent-1
ts_older_rst          | RST         | RCV.NXT             | -                 | -   | -   | TS.Recent-1
ts_same_text          | ACK         | RCV.NXT             | SND.NXT           | 100 | -   | TS.Recent
ts_newer_text         | ACK         | RCV.NXT             | SND.NXT           | 100 | -   | TS.Recent+5
ts_missing            | ACK         | RCV.NXT             | SND.NXT           | 100

# in SYN-SENT: SEQ is of the peer's choosing
first_ack_low         | ACK         | 7000                | ISS               |
first_ack_good        | ACK         | 7000                | ISS+1             |
first_ack_high        | ACK         | 7000                | ISS+2             |
first_rst             | RST         | 7000                | -                 |
first_rst_ack_low     | RST,ACK     | 0                   | ISS               |
first_rst_ack_good    | RST,ACK     | 0                   | ISS+1             |
first_rst_ack_high    | RST,ACK     | 0                   | ISS+2             |
first_syn_rst         | SYN,RST     | 7000                | -                 |
first_fin             | FIN         | 7000                | -                 |
first_fin_ack_good    | FIN,ACK     | 7000                | ISS+1             |
first_null            | -           | 7000                | -                 |
first_text            | PSH         | 7000                | -                 | 100
first_syn             | SYN         | 7000                | -                 |
first_syn_text        | SYN         | 7000                | -                 | 100
first_syn_fin         | SYN,FIN     | 7000                | -                 |
first_synack_low      | SYN,ACK     | 7000                | ISS               |
first_synack          | SYN,ACK     | 7000                | ISS+1             |
first_synack_high     | SYN,ACK     | 7000                | ISS+2             |
first_synack_text     | SYN,ACK     | 7000                | ISS+1             | 100
first_synack_fin      | SYN,ACK,FIN | 7000                | ISS+1             |
first_synack_urg      | SYN,ACK,URG | 7000                | ISS+1             | 100 | 50
)";

// Answers: "ack" is <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, "rst" is <SEQ=SEG.ACK><CTL=RST>, "synack" our SYN
// with an ACK. Effects: una (SND.UNA = SEG.ACK), text (all of it is delivered), part (what of it is new),
// queued (held until the gap before it is filled), fin (the peer's FIN is reached), urg (the application
// hears of urgent data), connected, closed:REASON, timewait, 2msl (the wait of TIME-WAIT begins anew).
//
// SYN-RECEIVED/passive is a connection that came by the half-open table, /active by simultaneous open.
// ESTABLISHED/0 has RCV.WND = 0, ESTABLISHED/ts agreed on timestamps.
inline constexpr const char* kGridCells = R"(
# segment | states | next | answer | drop | effects

# ---- 3.10.7.4, second: RST; RFC 5961 3.2 asks for RCV.NXT exactly, RFC 1337 3 (F1) exempts TIME-WAIT ----
rst_exact | SYN-RECEIVED/passive SYN-RECEIVED/active | CLOSED | - | - | closed:refused
rst_exact | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK ESTABLISHED/0 | CLOSED | - | - | closed:reset
rst_exact | TIME-WAIT | = | - | tcp_rst_time_wait | -
rst_exact_wild_ack | SYN-RECEIVED/passive SYN-RECEIVED/active | CLOSED | - | - | closed:refused
rst_exact_wild_ack | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK ESTABLISHED/0 | CLOSED | - | - | closed:reset
rst_exact_wild_ack | TIME-WAIT | = | - | tcp_rst_time_wait | -
rst_exact_with_text | SYN-RECEIVED/passive SYN-RECEIVED/active | CLOSED | - | - | closed:refused
rst_exact_with_text | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK | CLOSED | - | - | closed:reset
rst_exact_with_text | TIME-WAIT | = | - | tcp_rst_time_wait | -
# whatever comes with it
syn_rst | SYN-RECEIVED/passive SYN-RECEIVED/active | CLOSED | - | - | closed:refused
syn_rst | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK | CLOSED | - | - | closed:reset
syn_rst | TIME-WAIT | = | - | tcp_rst_time_wait | -
rst_next | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK | = | ack | tcp_rst_challenged | -
rst_next | TIME-WAIT | = | - | tcp_rst_time_wait | -
rst_next | ESTABLISHED/0 | = | - | tcp_rst_out_of_window | -
rst_last_in_window | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK | = | ack | tcp_rst_challenged | -
rst_last_in_window | TIME-WAIT | = | - | tcp_rst_time_wait | -
rst_behind_window | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | tcp_rst_out_of_window | -
rst_before_window | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT ESTABLISHED/0 | = | - | tcp_rst_out_of_window | -

# ---- fourth: SYN; RFC 5961 4.2 answers all with an ACK. For SYN-RECEIVED by passive open 3.10.7.4 goes back to LISTEN
# ---- instead; tern asks there too, so that a forged SYN ends no handshake, and a peer that really began anew
# ---- answers with the RST that does ----
syn_exact | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_syn_in_window | -
syn_fin | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_syn_in_window | -
syn_in_window | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_syn_in_window | -
synack_in_window | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_syn_in_window | -
# first: what is outside the window is acknowledged and dropped
syn_before_window | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_out_of_window | -
syn_behind_window | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_out_of_window | -
syn_again | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_out_of_window | -
# figure 7: simultaneous open ends with the peer's SYN again, now with an ACK
synack_again | SYN-RECEIVED/passive SYN-RECEIVED/active | ESTABLISHED | - | - | una connected
synack_again | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_out_of_window | -

# ---- fifth: ACK off ----
null | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | tcp_no_ack | -
text_no_ack | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | tcp_no_ack | -
fin_no_ack | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | tcp_no_ack | -
fin_psh_urg | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | tcp_no_ack | -

# ---- fifth: ACK on. In SYN-RECEIVED what does not acknowledge our SYN is reset ----
ack_duplicate | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
ack_duplicate | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT ESTABLISHED/0 | = | - | - | -
ack_old | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
ack_old | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | - | -
# RFC 5961 5.2: acceptable from SND.UNA - MAX.SND.WND on
ack_oldest | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
ack_oldest | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | - | -
ack_too_old | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
ack_too_old | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_bad_ack | -
ack_unsent | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
ack_unsent | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT ESTABLISHED/0 | = | ack | tcp_bad_ack | -
ack_half_the_circle | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
ack_half_the_circle | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_bad_ack | -
ack_part | SYN-RECEIVED/passive SYN-RECEIVED/active FIN-WAIT-2 TIME-WAIT | n/a
ack_part | ESTABLISHED FIN-WAIT-1 CLOSE-WAIT CLOSING LAST-ACK | = | - | - | una
ack_all | SYN-RECEIVED/passive SYN-RECEIVED/active | ESTABLISHED | - | - | una connected
ack_all | ESTABLISHED CLOSE-WAIT ESTABLISHED/0 | = | - | - | una
ack_all | FIN-WAIT-1 | FIN-WAIT-2 | - | - | una
ack_all | FIN-WAIT-2 TIME-WAIT | = | - | - | -
ack_all | CLOSING | TIME-WAIT | - | - | una timewait
ack_all | LAST-ACK | CLOSED | - | - | una closed:graceful
ack_all_in_window | SYN-RECEIVED/passive SYN-RECEIVED/active | ESTABLISHED | - | - | una connected
ack_all_in_window | ESTABLISHED CLOSE-WAIT | = | - | - | una
ack_all_in_window | FIN-WAIT-1 | FIN-WAIT-2 | - | - | una
ack_all_in_window | FIN-WAIT-2 TIME-WAIT | = | - | - | -
ack_all_in_window | CLOSING | TIME-WAIT | - | - | una timewait
ack_all_in_window | LAST-ACK | CLOSED | - | - | una closed:graceful
# first: outside the window, which is how others ask whether we are alive
ack_before_window | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT ESTABLISHED/0 | = | ack | tcp_out_of_window | -
ack_behind_window | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_out_of_window | -

# ---- seventh: the text; after the peer's FIN it is ignored ----
text_exact | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
text_exact | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 | = | ack | - | text
text_exact | CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | tcp_data_after_close | -
text_exact | ESTABLISHED/0 | = | ack | tcp_out_of_window | -
text_acks_all | SYN-RECEIVED/passive SYN-RECEIVED/active | ESTABLISHED | ack | - | una connected text
text_acks_all | ESTABLISHED | = | ack | - | una text
text_acks_all | FIN-WAIT-1 | FIN-WAIT-2 | ack | - | una text
text_acks_all | FIN-WAIT-2 | = | ack | - | text
text_acks_all | CLOSE-WAIT | = | - | tcp_data_after_close | una
text_acks_all | CLOSING | TIME-WAIT | - | tcp_data_after_close | una timewait
text_acks_all | LAST-ACK | CLOSED | - | - | una closed:graceful
text_acks_all | TIME-WAIT | = | - | tcp_data_after_close | -
text_acks_all | ESTABLISHED/0 | = | ack | tcp_out_of_window | una
text_ack_old | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
text_ack_old | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 | = | ack | - | text
text_ack_old | CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | tcp_data_after_close | -
text_ack_too_old | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
text_ack_too_old | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_bad_ack | -
text_ack_unsent | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
text_ack_unsent | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_bad_ack | -
text_ahead | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
text_ahead | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 | = | ack | - | queued
text_ahead | CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | tcp_data_after_close | -
text_again | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT ESTABLISHED/0 | = | ack | tcp_duplicate_payload | -
text_overlaps | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
text_overlaps | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 | = | ack | - | part
text_overlaps | CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | tcp_data_after_close | -
text_behind_window | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_out_of_window | -
text_over_the_edge | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
text_over_the_edge | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 | = | ack | - | queued
text_over_the_edge | CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | tcp_data_after_close | -

# ---- eighth: FIN; a second one is acknowledged, wherever it stands ----
fin_exact | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
fin_exact | ESTABLISHED | CLOSE-WAIT | ack | - | fin
fin_exact | FIN-WAIT-1 | CLOSING | ack | - | fin
fin_exact | FIN-WAIT-2 | TIME-WAIT | ack | - | fin timewait
fin_exact | CLOSE-WAIT CLOSING LAST-ACK | = | ack | tcp_data_after_close | -
fin_exact | TIME-WAIT | = | ack | tcp_data_after_close | 2msl
fin_acks_all | SYN-RECEIVED/passive SYN-RECEIVED/active | CLOSE-WAIT | ack | - | una connected fin
fin_acks_all | ESTABLISHED | CLOSE-WAIT | ack | - | una fin
fin_acks_all | FIN-WAIT-1 | TIME-WAIT | ack | - | una fin timewait
fin_acks_all | FIN-WAIT-2 | TIME-WAIT | ack | - | fin timewait
fin_acks_all | CLOSE-WAIT | = | ack | tcp_data_after_close | una
fin_acks_all | CLOSING | TIME-WAIT | ack | tcp_data_after_close | una timewait
fin_acks_all | LAST-ACK | CLOSED | - | - | una closed:graceful
fin_acks_all | TIME-WAIT | = | ack | tcp_data_after_close | 2msl
fin_ack_unsent | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
fin_ack_unsent | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_bad_ack | -
fin_with_text | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
fin_with_text | ESTABLISHED | CLOSE-WAIT | ack | - | text fin
fin_with_text | FIN-WAIT-1 | CLOSING | ack | - | text fin
fin_with_text | FIN-WAIT-2 | TIME-WAIT | ack | - | text fin timewait
fin_with_text | CLOSE-WAIT CLOSING LAST-ACK | = | ack | tcp_data_after_close | -
fin_with_text | TIME-WAIT | = | ack | tcp_data_after_close | 2msl
fin_text_acks_all | SYN-RECEIVED/passive SYN-RECEIVED/active | CLOSE-WAIT | ack | - | una connected text fin
fin_text_acks_all | ESTABLISHED | CLOSE-WAIT | ack | - | una text fin
fin_text_acks_all | FIN-WAIT-1 | TIME-WAIT | ack | - | una text fin timewait
fin_text_acks_all | FIN-WAIT-2 | TIME-WAIT | ack | - | text fin timewait
fin_text_acks_all | CLOSE-WAIT | = | ack | tcp_data_after_close | una
fin_text_acks_all | CLOSING | TIME-WAIT | ack | tcp_data_after_close | una timewait
fin_text_acks_all | LAST-ACK | CLOSED | - | - | una closed:graceful
fin_text_acks_all | TIME-WAIT | = | ack | tcp_data_after_close | 2msl
fin_ahead | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
fin_ahead | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 | = | ack | - | queued
fin_ahead | CLOSE-WAIT CLOSING LAST-ACK | = | ack | tcp_data_after_close | -
fin_ahead | TIME-WAIT | = | ack | tcp_data_after_close | 2msl
# first: the FIN again, whose ACK was lost; in TIME-WAIT the wait begins anew
fin_again | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK | = | ack | tcp_duplicate_payload | -
fin_again | TIME-WAIT | = | ack | tcp_duplicate_payload | 2msl
fin_behind_window | SYN-RECEIVED/passive SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | ack | tcp_out_of_window | -

# ---- sixth: URG, heard also with the window closed (MUST-66) ----
urg_with_text | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
urg_with_text | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 | = | ack | - | text urg
urg_with_text | CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | tcp_data_after_close | -
urg_with_text | ESTABLISHED/0 | = | ack | tcp_out_of_window | urg
urg_without_text | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
urg_without_text | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 ESTABLISHED/0 | = | - | - | urg
urg_without_text | CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | - | -
urg_ahead | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
urg_ahead | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 | = | ack | - | queued urg
urg_ahead | CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | tcp_data_after_close | -
urg_of_the_past | SYN-RECEIVED/passive SYN-RECEIVED/active | = | rst | tcp_bad_ack | -
urg_of_the_past | ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT | = | - | - | -

# ---- RFC 7323 5.3 (R1) and 3.2, before the first step ----
ts_older_text | ESTABLISHED/ts | = | ack | tcp_paws | -
ts_older_ack | ESTABLISHED/ts | = | ack | tcp_paws | -
ts_older_rst | ESTABLISHED/ts | CLOSED | - | - | closed:reset
ts_same_text | ESTABLISHED/ts | = | ack | - | una text
ts_newer_text | ESTABLISHED/ts | = | ack | - | una text
ts_missing | ESTABLISHED/ts | = | - | tcp_missing_timestamp | -

# ---- 3.10.7.3: first the ACK, second RST, fourth SYN, fifth what is neither ----
first_ack_low | SYN-SENT | = | rst | tcp_bad_ack | -
first_ack_good | SYN-SENT | = | - | tcp_bad_flags | -
first_ack_high | SYN-SENT | = | rst | tcp_bad_ack | -
first_rst | SYN-SENT | = | - | tcp_rst_out_of_window | -
first_rst_ack_low | SYN-SENT | = | - | tcp_bad_ack | -
first_rst_ack_good | SYN-SENT | CLOSED | - | - | closed:refused
first_rst_ack_high | SYN-SENT | = | - | tcp_bad_ack | -
first_syn_rst | SYN-SENT | = | - | tcp_rst_out_of_window | -
first_fin | SYN-SENT | = | - | tcp_bad_flags | -
first_fin_ack_good | SYN-SENT | = | - | tcp_bad_flags | -
first_null | SYN-SENT | = | - | tcp_bad_flags | -
first_text | SYN-SENT | = | - | tcp_bad_flags | -
first_syn | SYN-SENT | SYN-RECEIVED | synack | - | -
first_syn_text | SYN-SENT | SYN-RECEIVED | synack | - | queued
first_syn_fin | SYN-SENT | SYN-RECEIVED | synack | - | queued
first_synack_low | SYN-SENT | = | rst | tcp_bad_ack | -
first_synack | SYN-SENT | ESTABLISHED | ack | - | una connected
first_synack_high | SYN-SENT | = | rst | tcp_bad_ack | -
first_synack_text | SYN-SENT | ESTABLISHED | ack | - | una connected text
first_synack_fin | SYN-SENT | CLOSE-WAIT | ack | - | una connected fin
first_synack_urg | SYN-SENT | ESTABLISHED | ack | - | una connected text urg
)";

}  // namespace tern::tcp

#endif  // TERN_TCP_STATE_GRID_TABLE_FOR_TEST_H_
