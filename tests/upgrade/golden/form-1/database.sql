BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE event_cursors (
	host TEXT NOT NULL, 
	journal_id TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	CONSTRAINT pk_event_cursors PRIMARY KEY (host)
);
INSERT INTO "event_cursors" VALUES('(controller)','890b572437440ea6',49);
INSERT INTO "event_cursors" VALUES('localhost','8ca40b8fef36e3d3',35);
CREATE TABLE events (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at DOUBLE NOT NULL, 
	type TEXT NOT NULL, 
	worker_id TEXT, 
	instance TEXT, 
	run TEXT, 
	actor TEXT DEFAULT '' NOT NULL, 
	cause TEXT DEFAULT '' NOT NULL, 
	message TEXT DEFAULT '' NOT NULL, 
	data TEXT NOT NULL
);
INSERT INTO "events" VALUES(1,1.79552489642905044558e+09,'spec_accepted','bad',NULL,NULL,'specs','','bad.yaml:1 at revision 1-034b4fd3bd','{"file":"bad.yaml","line":1,"commit":null}');
INSERT INTO "events" VALUES(2,1.79552489642925214765e+09,'spec_accepted','brk',NULL,NULL,'specs','','brk.yaml:1 at revision 1-94547ba02c','{"file":"brk.yaml","line":1,"commit":null}');
INSERT INTO "events" VALUES(3,1.79552489642939209937e+09,'spec_accepted','gone',NULL,NULL,'specs','','gone.yaml:1 at revision 1-94547ba02c','{"file":"gone.yaml","line":1,"commit":null}');
INSERT INTO "events" VALUES(4,1.79552489642952108387e+09,'spec_accepted','off',NULL,NULL,'specs','','off.yaml:1 at revision 1-94547ba02c','{"file":"off.yaml","line":1,"commit":null}');
INSERT INTO "events" VALUES(5,1.79552489642964792251e+09,'spec_accepted','one',NULL,NULL,'specs','','one.yaml:1 at revision 1-fe51bf1e79','{"file":"one.yaml","line":1,"commit":null}');
INSERT INTO "events" VALUES(6,1.79552489643638396262e+09,'spec_accepted','web',NULL,NULL,'specs','','web.yaml:1 at revision 1-8b24ee8df2','{"file":"web.yaml","line":1,"commit":null}');
INSERT INTO "events" VALUES(7,1.7955248978188920021e+09,'create_ordered','bad','bad/0',NULL,'loop','not there yet','create bad/0: not there yet','{"fields":[],"generation":1}');
INSERT INTO "events" VALUES(8,1.7955248978188920021e+09,'create_ordered','brk','brk/0',NULL,'loop','not there yet','create brk/0: not there yet','{"fields":[],"generation":1}');
INSERT INTO "events" VALUES(9,1.7955248978188920021e+09,'create_ordered','gone','gone/0',NULL,'loop','not there yet','create gone/0: not there yet','{"fields":[],"generation":1}');
INSERT INTO "events" VALUES(10,1.7955248978188920021e+09,'create_ordered','off','off/0',NULL,'loop','not there yet','create off/0: not there yet','{"fields":[],"generation":1}');
INSERT INTO "events" VALUES(11,1.7955248978188920021e+09,'create_ordered','one','one/0',NULL,'loop','not there yet','create one/0: not there yet','{"fields":[],"generation":1}');
INSERT INTO "events" VALUES(12,1.7955248978188920021e+09,'create_ordered','web','web/0',NULL,'loop','not there yet','create web/0: not there yet','{"fields":[],"generation":1}');
INSERT INTO "events" VALUES(13,1.7955248978188920021e+09,'create_ordered','web','web/1',NULL,'loop','not there yet','create web/1: not there yet','{"fields":[],"generation":1}');
INSERT INTO "events" VALUES(14,1.79552489792157912249e+09,'started','bad','bad/0','31e7bb05d7b7a50a','agent','','started as pid 8863 at revision 1-034b4fd3bd','{"pid":8863}');
INSERT INTO "events" VALUES(15,1.79552489792240738868e+09,'started','brk','brk/0','01794b0a1bb21b0e','agent','','started as pid 8864 at revision 1-94547ba02c','{"pid":8864}');
INSERT INTO "events" VALUES(16,1.79552489792278528214e+09,'started','gone','gone/0','1f2920088a778937','agent','','started as pid 8867 at revision 1-94547ba02c','{"pid":8867}');
INSERT INTO "events" VALUES(17,1.79552489792314648626e+09,'started','one','one/0','297cf269d98c8bcd','agent','','started as pid 8869 at revision 1-fe51bf1e79','{"pid":8869}');
INSERT INTO "events" VALUES(18,1.79552489792349815366e+09,'started','off','off/0','69ad69814aabc4fb','agent','','started as pid 8868 at revision 1-94547ba02c','{"pid":8868}');
INSERT INTO "events" VALUES(19,1.79552489795579528811e+09,'started','web','web/0','11b9222a1470ac15','agent','','started as pid 8870 at revision 1-8b24ee8df2','{"pid":8870}');
INSERT INTO "events" VALUES(20,1.79552489795654559136e+09,'started','web','web/1','617b32662116b7f4','agent','','started as pid 8871 at revision 1-8b24ee8df2','{"pid":8871}');
INSERT INTO "events" VALUES(21,1.79552489800630378719e+09,'exited','bad','bad/0','31e7bb05d7b7a50a','agent','exited','exited with code 3 after 0.2 s','{"code":3,"signal":null,"lived_s":0.177}');
INSERT INTO "events" VALUES(22,1.79552489802555537224e+09,'gave_up','bad','bad/0','31e7bb05d7b7a50a','agent','NotRestarted','exited with code 3; auto_restart is never','{}');
INSERT INTO "events" VALUES(23,1.79552489804432272913e+09,'became_running','brk','brk/0','01794b0a1bb21b0e','agent','','alive for 200 ms','{}');
INSERT INTO "events" VALUES(24,1.79552489807388162613e+09,'became_running','gone','gone/0','1f2920088a778937','agent','','alive for 200 ms','{}');
INSERT INTO "events" VALUES(25,1.79552489808676719665e+09,'became_running','off','off/0','69ad69814aabc4fb','agent','','alive for 200 ms','{}');
INSERT INTO "events" VALUES(26,1.79552489808846521372e+09,'became_running','one','one/0','297cf269d98c8bcd','agent','','alive for 200 ms','{}');
INSERT INTO "events" VALUES(27,1.79552489809365367892e+09,'exited','one','one/0','297cf269d98c8bcd','agent','completed','exited with code 0 after 0.2 s','{"code":0,"signal":null,"lived_s":0.207}');
INSERT INTO "events" VALUES(28,1.79552489809582138061e+09,'completed','one','one/0','297cf269d98c8bcd','agent','completed','exited with code 0','{}');
INSERT INTO "events" VALUES(29,1.79552489820928907397e+09,'became_ready','web','web/0','11b9222a1470ac15','agent','','its readiness probe succeeded','{}');
INSERT INTO "events" VALUES(30,1.79552489820928907397e+09,'became_running','web','web/0','11b9222a1470ac15','agent','','its readiness probe succeeded','{}');
INSERT INTO "events" VALUES(31,1.79552489830222749712e+09,'became_ready','web','web/1','617b32662116b7f4','agent','','its readiness probe succeeded','{}');
INSERT INTO "events" VALUES(32,1.79552489830222749712e+09,'became_running','web','web/1','617b32662116b7f4','agent','','its readiness probe succeeded','{}');
INSERT INTO "events" VALUES(33,1.79552489883424282071e+09,'restart_requested','web',NULL,NULL,'root','','restart asked for by root','{"operation_id":"bdffb4a2758cccfa","request_id":"adb55fe7553a8931"}');
INSERT INTO "events" VALUES(34,1.79552489889869356159e+09,'restart_ordered','web','web/0',NULL,'loop','restart asked for by root','restart web/0: restart asked for by root','{"fields":[],"generation":2}');
INSERT INTO "events" VALUES(35,1.79552489889869356159e+09,'held','web',NULL,NULL,'loop','RolloutPaced','one at a time: web/1 after web/0','{}');
INSERT INTO "events" VALUES(36,1.79552489890476512906e+09,'stop_requested','web','web/0','11b9222a1470ac15','agent','restart','asked to end by SIGTERM; killed after 8.0 s','{"why":"restart"}');
INSERT INTO "events" VALUES(37,1.79552489891531300543e+09,'exited','web','web/0','11b9222a1470ac15','agent','stopped','exited with code 0 after 1.0 s','{"code":0,"signal":null,"lived_s":1.021}');
INSERT INTO "events" VALUES(38,1.79552489893653202061e+09,'started','web','web/0','543cba9953fea4c0','agent','','started as pid 8925 at revision 1-8b24ee8df2','{"pid":8925}');
INSERT INTO "events" VALUES(39,1.79552489944917368887e+09,'became_ready','web','web/0','543cba9953fea4c0','agent','','its readiness probe succeeded','{}');
INSERT INTO "events" VALUES(40,1.79552489944917368887e+09,'became_running','web','web/0','543cba9953fea4c0','agent','','its readiness probe succeeded','{}');
INSERT INTO "events" VALUES(41,1.7955248994508111477e+09,'restart_ordered','web','web/1',NULL,'loop','restart asked for by root','restart web/1: restart asked for by root','{"fields":[],"generation":2}');
INSERT INTO "events" VALUES(42,1.7955248994697012901e+09,'stop_requested','web','web/1','617b32662116b7f4','agent','restart','asked to end by SIGTERM; killed after 8.0 s','{"why":"restart"}');
INSERT INTO "events" VALUES(43,1.79552489948330783846e+09,'exited','web','web/1','617b32662116b7f4','agent','stopped','exited with code 0 after 1.5 s','{"code":0,"signal":null,"lived_s":1.541}');
INSERT INTO "events" VALUES(44,1.79552489950844216346e+09,'started','web','web/1','74598bf076bda421','agent','','started as pid 8945 at revision 1-8b24ee8df2','{"pid":8945}');
INSERT INTO "events" VALUES(45,1.79552489986379408843e+09,'audit',NULL,NULL,NULL,'root','','POST /api/v1/workers/web/restart: 200','{"method":"POST","path":"/api/v1/workers/web/restart","status":200,"request_id":"adb55fe7553a8931","role":"admin","token_id":null,"peer":"127.0.0.1","uid":0}');
INSERT INTO "events" VALUES(46,1.79552489985893321032e+09,'became_ready','web','web/1','74598bf076bda421','agent','','its readiness probe succeeded','{}');
INSERT INTO "events" VALUES(47,1.79552489985893321032e+09,'became_running','web','web/1','74598bf076bda421','agent','','its readiness probe succeeded','{}');
INSERT INTO "events" VALUES(48,1.79552490013412499427e+09,'stop_requested','off',NULL,NULL,'root','golden','stop asked for by root: golden','{"operation_id":"bde4fac66cb18473","request_id":"6f38b6fc7cc7b8d6"}');
INSERT INTO "events" VALUES(49,1.79552490016869330411e+09,'audit',NULL,NULL,NULL,'root','','POST /api/v1/workers/off/stop: 202','{"method":"POST","path":"/api/v1/workers/off/stop","status":202,"request_id":"6f38b6fc7cc7b8d6","role":"admin","token_id":null,"peer":"127.0.0.1","uid":0}');
INSERT INTO "events" VALUES(50,1.79552490018691229822e+09,'stop_ordered','off','off/0',NULL,'loop','kept stopped until 2026-11-24T13:55:00Z (golden, by root)','stop off/0: kept stopped until 2026-11-24T13:55:00Z (golden, by root)','{"fields":[],"generation":2}');
INSERT INTO "events" VALUES(51,1.79552490018691229822e+09,'held','off',NULL,NULL,'loop','KeptStopped','kept stopped until 2026-11-24T13:55:00Z (golden, by root); then its spec decides again','{}');
INSERT INTO "events" VALUES(52,1.79552490019482827187e+09,'stop_requested','off','off/0','69ad69814aabc4fb','agent','stop','asked to end by SIGTERM; killed after 8.0 s','{"why":"stop"}');
INSERT INTO "events" VALUES(53,1.79552490022647428516e+09,'exited','off','off/0','69ad69814aabc4fb','agent','stopped','exited with code 0 after 2.3 s','{"code":0,"signal":null,"lived_s":2.34}');
INSERT INTO "events" VALUES(54,1.79552490023681473726e+09,'stopped','off','off/0','69ad69814aabc4fb','agent','','stopped; no process is left','{}');
INSERT INTO "events" VALUES(55,1.79552490067307329172e+09,'spec_removed','gone',NULL,NULL,'specs','','gone.yaml is gone','{}');
INSERT INTO "events" VALUES(56,1.79552490067336916919e+09,'remove_ordered','gone','gone/0',NULL,'loop','spec removed: gone.yaml is gone','remove gone/0: spec removed: gone.yaml is gone','{"fields":[],"generation":2}');
INSERT INTO "events" VALUES(57,1.79552490067478561397e+09,'stop_requested','gone','gone/0','1f2920088a778937','agent','remove','asked to end by SIGTERM; killed after 8.0 s','{"why":"remove"}');
INSERT INTO "events" VALUES(58,1.79552490069778466225e+09,'exited','gone','gone/0','1f2920088a778937','agent','stopped','exited with code 0 after 2.8 s','{"code":0,"signal":null,"lived_s":2.827}');
INSERT INTO "events" VALUES(59,1.79552490071660017967e+09,'removed','gone','gone/0','1f2920088a778937','agent','','removed; no process is left','{}');
INSERT INTO "events" VALUES(60,1.79552490104604387279e+09,'spec_rejected',NULL,NULL,NULL,'specs','','brk.yaml:3:1: expected a value here: a bracket before it is not closed, or stands where none belongs (check the brackets, or quote the value)','{}');
CREATE TABLE log_cursors (
	run TEXT NOT NULL, 
	stream TEXT NOT NULL, 
	slot TEXT NOT NULL, 
	byte_offset BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	updated_at DOUBLE NOT NULL, 
	CONSTRAINT pk_log_cursors PRIMARY KEY (run, stream)
);
INSERT INTO "log_cursors" VALUES('11b9222a1470ac15','stdout','web/0',115,5,1.79552489814172673227e+09);
INSERT INTO "log_cursors" VALUES('617b32662116b7f4','stdout','web/1',115,5,1.79552489813383603098e+09);
INSERT INTO "log_cursors" VALUES('543cba9953fea4c0','stdout','web/0',115,5,1.79552489908781194691e+09);
INSERT INTO "log_cursors" VALUES('74598bf076bda421','stdout','web/1',115,5,1.79552489965026736262e+09);
CREATE TABLE operations (
	operation_id TEXT NOT NULL, 
	worker_id TEXT NOT NULL, 
	action TEXT NOT NULL, 
	state TEXT NOT NULL, 
	detail TEXT DEFAULT '' NOT NULL, 
	actor TEXT DEFAULT '' NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	created_at DOUBLE NOT NULL, 
	updated_at DOUBLE NOT NULL, 
	number BIGINT, 
	CONSTRAINT pk_operations PRIMARY KEY (operation_id)
);
INSERT INTO "operations" VALUES('bdffb4a2758cccfa','web','restart','succeeded','all instances run anew','root','',1.79552489883424282071e+09,1.79552489986330485348e+09,1795524898834);
INSERT INTO "operations" VALUES('bde4fac66cb18473','off','stop','succeeded','all instances have stopped','root','golden',1.79552490013412499427e+09,1.79552490029336524008e+09,0);
CREATE TABLE worker_configs (
	worker_id TEXT NOT NULL, 
	name TEXT DEFAULT '' NOT NULL, 
	description TEXT DEFAULT '' NOT NULL, 
	deployment_type TEXT NOT NULL, 
	host TEXT NOT NULL, 
	port INTEGER, 
	max_accounts INTEGER, 
	replicas INTEGER NOT NULL, 
	auto_start BOOLEAN NOT NULL, 
	desired_state TEXT NOT NULL, 
	auto_restart TEXT NOT NULL, 
	max_restart_attempts INTEGER, 
	restart_delay_ms BIGINT NOT NULL, 
	labels TEXT NOT NULL, 
	spec TEXT NOT NULL, 
	revision TEXT NOT NULL, 
	source_file TEXT DEFAULT '' NOT NULL, 
	source_line INTEGER, 
	valid BOOLEAN NOT NULL, 
	problems TEXT NOT NULL, 
	updated_at DOUBLE NOT NULL, 
	deleted_at DOUBLE, 
	CONSTRAINT pk_worker_configs PRIMARY KEY (worker_id)
);
INSERT INTO "worker_configs" VALUES('bad','','','local','localhost',NULL,NULL,1,1,'running','never',3,300,'{}','{"worker_id":"bad","kind":"Worker","name":"","description":"","labels":{},"deployment_type":"local","host":"localhost","command":["/bin/python3","-I","-S","/srv/canary.py","/srv/golden/slots","--exit=3","--after=50"],"working_dir":null,"env":{},"env_files":[],"secrets":{},"user":null,"group":null,"umask":null,"port":null,"max_accounts":null,"replicas":1,"auto_start":true,"desired_state":null,"auto_restart":false,"max_restart_attempts":3,"restart_delay_ms":300,"restart_backoff":{"factor":2.0,"max_delay_ms":60000,"jitter":0.1},"restart_window_ms":600000,"start_grace_ms":200,"success_exit_codes":[0],"stop":{"signal":"TERM","grace_ms":8000,"kill":"group"},"startup":null,"readiness":null,"liveness":null,"hooks":null,"limits":null,"depends_on":{},"logs":{"max_bytes":52428800,"archives":5,"store_rate":2000,"retain_days":7,"capture":"file"}}','1-034b4fd3bd','bad.yaml',1,1,'[]',1.79552489642865252495e+09,NULL);
INSERT INTO "worker_configs" VALUES('brk','','','local','localhost',NULL,NULL,1,1,'running','on_failure',3,300,'{"team":"a"}','{"worker_id":"brk","kind":"Worker","name":"","description":"","labels":{"team":"a"},"deployment_type":"local","host":"localhost","command":["/bin/python3","-I","-S","/srv/canary.py","/srv/golden/slots"],"working_dir":null,"env":{},"env_files":[],"secrets":{},"user":null,"group":null,"umask":null,"port":null,"max_accounts":null,"replicas":1,"auto_start":true,"desired_state":null,"auto_restart":true,"max_restart_attempts":3,"restart_delay_ms":300,"restart_backoff":{"factor":2.0,"max_delay_ms":60000,"jitter":0.1},"restart_window_ms":600000,"start_grace_ms":200,"success_exit_codes":[0],"stop":{"signal":"TERM","grace_ms":8000,"kill":"group"},"startup":null,"readiness":null,"liveness":null,"hooks":null,"limits":null,"depends_on":{},"logs":{"max_bytes":52428800,"archives":5,"store_rate":2000,"retain_days":7,"capture":"file"}}','1-94547ba02c','brk.yaml',1,0,'[{"file":"brk.yaml","line":3,"column":1,"message":"expected a value here: a bracket before it is not closed, or stands where none belongs"}]',1.79552490105840420724e+09,NULL);
INSERT INTO "worker_configs" VALUES('gone','','','local','localhost',NULL,NULL,1,1,'running','on_failure',3,300,'{}','{"worker_id":"gone","kind":"Worker","name":"","description":"","labels":{},"deployment_type":"local","host":"localhost","command":["/bin/python3","-I","-S","/srv/canary.py","/srv/golden/slots"],"working_dir":null,"env":{},"env_files":[],"secrets":{},"user":null,"group":null,"umask":null,"port":null,"max_accounts":null,"replicas":1,"auto_start":true,"desired_state":null,"auto_restart":true,"max_restart_attempts":3,"restart_delay_ms":300,"restart_backoff":{"factor":2.0,"max_delay_ms":60000,"jitter":0.1},"restart_window_ms":600000,"start_grace_ms":200,"success_exit_codes":[0],"stop":{"signal":"TERM","grace_ms":8000,"kill":"group"},"startup":null,"readiness":null,"liveness":null,"hooks":null,"limits":null,"depends_on":{},"logs":{"max_bytes":52428800,"archives":5,"store_rate":2000,"retain_days":7,"capture":"file"}}','1-94547ba02c','gone.yaml',1,1,'[]',1795524896.42927,1.79552490066718935962e+09);
INSERT INTO "worker_configs" VALUES('off','','','local','localhost',NULL,NULL,1,1,'running','on_failure',3,300,'{}','{"worker_id":"off","kind":"Worker","name":"","description":"","labels":{},"deployment_type":"local","host":"localhost","command":["/bin/python3","-I","-S","/srv/canary.py","/srv/golden/slots"],"working_dir":null,"env":{},"env_files":[],"secrets":{},"user":null,"group":null,"umask":null,"port":null,"max_accounts":null,"replicas":1,"auto_start":true,"desired_state":null,"auto_restart":true,"max_restart_attempts":3,"restart_delay_ms":300,"restart_backoff":{"factor":2.0,"max_delay_ms":60000,"jitter":0.1},"restart_window_ms":600000,"start_grace_ms":200,"success_exit_codes":[0],"stop":{"signal":"TERM","grace_ms":8000,"kill":"group"},"startup":null,"readiness":null,"liveness":null,"hooks":null,"limits":null,"depends_on":{},"logs":{"max_bytes":52428800,"archives":5,"store_rate":2000,"retain_days":7,"capture":"file"}}','1-94547ba02c','off.yaml',1,1,'[]',1.79552489642940759665e+09,NULL);
INSERT INTO "worker_configs" VALUES('one','','','local','localhost',NULL,NULL,1,1,'running','on_failure',3,300,'{}','{"worker_id":"one","kind":"Worker","name":"","description":"","labels":{},"deployment_type":"local","host":"localhost","command":["/bin/python3","-I","-S","/srv/canary.py","/srv/golden/slots","--exit=0","--after=50"],"working_dir":null,"env":{},"env_files":[],"secrets":{},"user":null,"group":null,"umask":null,"port":null,"max_accounts":null,"replicas":1,"auto_start":true,"desired_state":null,"auto_restart":true,"max_restart_attempts":3,"restart_delay_ms":300,"restart_backoff":{"factor":2.0,"max_delay_ms":60000,"jitter":0.1},"restart_window_ms":600000,"start_grace_ms":200,"success_exit_codes":[0],"stop":{"signal":"TERM","grace_ms":8000,"kill":"group"},"startup":null,"readiness":null,"liveness":null,"hooks":null,"limits":null,"depends_on":{},"logs":{"max_bytes":52428800,"archives":5,"store_rate":2000,"retain_days":7,"capture":"file"}}','1-fe51bf1e79','one.yaml',1,1,'[]',1.79552489642953896518e+09,NULL);
INSERT INTO "worker_configs" VALUES('web','','','local','localhost',NULL,NULL,2,1,'running','on_failure',3,300,'{}','{"worker_id":"web","kind":"Worker","name":"","description":"","labels":{},"deployment_type":"local","host":"localhost","command":["/bin/python3","-I","-S","/srv/canary.py","/srv/golden/slots","--lines=5"],"working_dir":null,"env":{"A":"1"},"env_files":[],"secrets":{},"user":null,"group":null,"umask":null,"port":null,"max_accounts":null,"replicas":2,"auto_start":true,"desired_state":null,"auto_restart":true,"max_restart_attempts":3,"restart_delay_ms":300,"restart_backoff":{"factor":2.0,"max_delay_ms":60000,"jitter":0.1},"restart_window_ms":600000,"start_grace_ms":200,"success_exit_codes":[0],"stop":{"signal":"TERM","grace_ms":8000,"kill":"group"},"startup":null,"readiness":{"http":null,"tcp":null,"exec":["/bin/true"],"log_line":null,"period_ms":10000,"timeout_ms":3000,"failures":3,"successes":1},"liveness":null,"hooks":null,"limits":null,"depends_on":{},"logs":{"max_bytes":52428800,"archives":5,"store_rate":2000,"retain_days":7,"capture":"file"}}','1-8b24ee8df2','web.yaml',1,1,'[]',1.79552489642966294283e+09,NULL);
CREATE TABLE worker_logs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	worker_id TEXT NOT NULL, 
	instance TEXT NOT NULL, 
	run TEXT NOT NULL, 
	stream TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	byte_offset BIGINT NOT NULL, 
	at DOUBLE NOT NULL, 
	approximate BOOLEAN NOT NULL, 
	level TEXT, 
	text TEXT NOT NULL, 
	partial BOOLEAN NOT NULL
);
INSERT INTO "worker_logs" VALUES(1,'web','web/0','11b9222a1470ac15','stdout','line',1,0,1.79552489808074593538e+09,0,NULL,'line 00000001 4b76e1eb',0);
INSERT INTO "worker_logs" VALUES(2,'web','web/0','11b9222a1470ac15','stdout','line',2,23,1.79552489808074593538e+09,0,NULL,'line 00000002 d27fb051',0);
INSERT INTO "worker_logs" VALUES(3,'web','web/0','11b9222a1470ac15','stdout','line',3,46,1.79552489808074593538e+09,0,NULL,'line 00000003 a57880c7',0);
INSERT INTO "worker_logs" VALUES(4,'web','web/0','11b9222a1470ac15','stdout','line',4,69,1.79552489808074593538e+09,0,NULL,'line 00000004 3b1c1564',0);
INSERT INTO "worker_logs" VALUES(5,'web','web/1','617b32662116b7f4','stdout','line',1,0,1.79552489808639025685e+09,0,NULL,'line 00000001 4b76e1eb',0);
INSERT INTO "worker_logs" VALUES(6,'web','web/1','617b32662116b7f4','stdout','line',2,23,1.79552489808639025685e+09,0,NULL,'line 00000002 d27fb051',0);
INSERT INTO "worker_logs" VALUES(7,'web','web/1','617b32662116b7f4','stdout','line',3,46,1.79552489808639025685e+09,0,NULL,'line 00000003 a57880c7',0);
INSERT INTO "worker_logs" VALUES(8,'web','web/1','617b32662116b7f4','stdout','line',4,69,1.79552489808639025685e+09,0,NULL,'line 00000004 3b1c1564',0);
INSERT INTO "worker_logs" VALUES(9,'web','web/1','617b32662116b7f4','stdout','line',5,92,1.79552489808639025685e+09,0,NULL,'line 00000005 4c1b25f2',0);
INSERT INTO "worker_logs" VALUES(10,'web','web/0','11b9222a1470ac15','stdout','line',5,92,1.79552489808074593538e+09,0,NULL,'line 00000005 4c1b25f2',0);
INSERT INTO "worker_logs" VALUES(11,'web','web/0','543cba9953fea4c0','stdout','line',1,0,1.79552489902474594115e+09,0,NULL,'line 00000001 4b76e1eb',0);
INSERT INTO "worker_logs" VALUES(12,'web','web/0','543cba9953fea4c0','stdout','line',2,23,1.79552489902474594115e+09,0,NULL,'line 00000002 d27fb051',0);
INSERT INTO "worker_logs" VALUES(13,'web','web/0','543cba9953fea4c0','stdout','line',3,46,1.79552489902474594115e+09,0,NULL,'line 00000003 a57880c7',0);
INSERT INTO "worker_logs" VALUES(14,'web','web/0','543cba9953fea4c0','stdout','line',4,69,1.79552489902474594115e+09,0,NULL,'line 00000004 3b1c1564',0);
INSERT INTO "worker_logs" VALUES(15,'web','web/0','543cba9953fea4c0','stdout','line',5,92,1.79552489902474594115e+09,0,NULL,'line 00000005 4c1b25f2',0);
INSERT INTO "worker_logs" VALUES(16,'web','web/1','74598bf076bda421','stdout','line',1,0,1.79552489958311295515e+09,0,NULL,'line 00000001 4b76e1eb',0);
INSERT INTO "worker_logs" VALUES(17,'web','web/1','74598bf076bda421','stdout','line',2,23,1.79552489958311295515e+09,0,NULL,'line 00000002 d27fb051',0);
INSERT INTO "worker_logs" VALUES(18,'web','web/1','74598bf076bda421','stdout','line',3,46,1.79552489958311295515e+09,0,NULL,'line 00000003 a57880c7',0);
INSERT INTO "worker_logs" VALUES(19,'web','web/1','74598bf076bda421','stdout','line',4,69,1.79552489958311295515e+09,0,NULL,'line 00000004 3b1c1564',0);
INSERT INTO "worker_logs" VALUES(20,'web','web/1','74598bf076bda421','stdout','line',5,92,1.79552489958311295515e+09,0,NULL,'line 00000005 4c1b25f2',0);
CREATE TABLE worker_runtime (
	instance TEXT NOT NULL, 
	worker_id TEXT NOT NULL, 
	ordinal INTEGER NOT NULL, 
	host TEXT NOT NULL, 
	status TEXT NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	message TEXT DEFAULT '' NOT NULL, 
	pid INTEGER, 
	run TEXT, 
	run_number INTEGER NOT NULL, 
	revision TEXT, 
	started_at DOUBLE, 
	restart_count INTEGER NOT NULL, 
	error_count INTEGER, 
	cpu_percent DOUBLE, 
	memory_bytes BIGINT, 
	assigned_accounts INTEGER, 
	active_tasks INTEGER, 
	last_heartbeat_at DOUBLE, 
	last_exit TEXT, 
	next_retry_at DOUBLE, 
	updated_at DOUBLE NOT NULL, 
	CONSTRAINT pk_worker_runtime PRIMARY KEY (instance)
);
INSERT INTO "worker_runtime" VALUES('bad/0','bad',0,'localhost','error','NotRestarted','exited with code 3; auto_restart is never',NULL,NULL,1,'1-034b4fd3bd',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,'{"cause":"exited","code":3,"signal":null,"at":1795524898.0057442}',NULL,1.79552489803167843814e+09);
INSERT INTO "worker_runtime" VALUES('brk/0','brk',0,'localhost','running','','',8864,'01794b0a1bb21b0e',1,'1-94547ba02c',1.7955248978428595066e+09,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1.79552489805342030525e+09);
INSERT INTO "worker_runtime" VALUES('off/0','off',0,'localhost','stopped','Stopped','',NULL,NULL,1,'1-94547ba02c',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,'{"cause":"stopped","code":0,"signal":null,"at":1795524900.2242732}',NULL,1.7955249002934479713e+09);
INSERT INTO "worker_runtime" VALUES('one/0','one',0,'localhost','stopped','Completed','exited with code 0',NULL,NULL,1,'1-fe51bf1e79',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,'{"cause":"completed","code":0,"signal":null,"at":1795524898.0930638}',NULL,1.79552489811487317079e+09);
INSERT INTO "worker_runtime" VALUES('web/0','web',0,'localhost','running','','',8925,'543cba9953fea4c0',2,'1-8b24ee8df2',1.79552489893020749095e+09,0,NULL,NULL,NULL,NULL,NULL,NULL,'{"cause":"stopped","code":0,"signal":null,"at":1795524898.914755}',NULL,1.79552489945153784757e+09);
INSERT INTO "worker_runtime" VALUES('web/1','web',1,'localhost','running','','',8945,'74598bf076bda421',2,'1-8b24ee8df2',1.79552489949494576458e+09,0,NULL,NULL,NULL,NULL,NULL,NULL,'{"cause":"stopped","code":0,"signal":null,"at":1795524899.4770834}',NULL,1.79552489986345672609e+09);
CREATE INDEX ix_worker_runtime_worker_id ON worker_runtime (worker_id);
CREATE INDEX ix_worker_logs_worker_id_id ON worker_logs (worker_id, id);
CREATE INDEX ix_worker_logs_instance_id ON worker_logs (instance, id);
CREATE INDEX ix_worker_logs_worker_id_at ON worker_logs (worker_id, at);
CREATE INDEX ix_events_worker_id_seq ON events (worker_id, seq);
CREATE INDEX ix_operations_created_at ON operations (created_at);
CREATE INDEX ix_operations_worker_id_created_at ON operations (worker_id, created_at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',60);
INSERT INTO "sqlite_sequence" VALUES('worker_logs',20);
COMMIT;
